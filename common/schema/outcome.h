// SPDX-License-Identifier: Apache-2.0
//
// Writes how a step ended as outcome.capnp; every server of an interface uses this. Readers check with limits of their
// own.
#pragma once

#include <optional>

#include "common/movable/reasons.h"
#include "common/schema/outcome.capnp.h"

namespace om {

// nullopt: ok.
inline void write_outcome(const std::optional<Reason>& refused, wire::Outcome::Builder to) {
  if (!refused) return to.setOk();
  auto refusal = to.initRefused();
  refusal.setCode(code_name(refused->code).c_str());
  refusal.setDetail(refused->detail.c_str());
}

}  // namespace om
