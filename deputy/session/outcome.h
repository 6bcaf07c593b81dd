// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/schema/session.capnp.h"
#include "deputy/base/text.h"
#include "deputy/verdict.h"

namespace om::deputy {

namespace schema = ::om::wire;

// The keeper's verdict on what it was asked for.
inline Step check(schema::Outcome::Reader outcome) {
  if (outcome.getOk()) return Done{};
  return Reason::from_words(one_line(outcome.getCode()), one_line(outcome.getMessage()));
}

}  // namespace om::deputy
