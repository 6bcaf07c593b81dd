// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/movable/verdict.h"
#include "common/schema/session.capnp.h"
#include "deputy/base/text.h"

namespace om::deputy {

namespace schema = ::om::wire;

// The keeper's verdict on a request.
inline Step check(schema::Outcome::Reader outcome) {
  if (outcome.isOk()) return Done{};
  auto refused = outcome.getRefused();
  return Reason::from_peer(one_line(refused.getCode()), one_line(refused.getDetail()));
}

}  // namespace om::deputy
