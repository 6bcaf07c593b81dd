// SPDX-License-Identifier: Apache-2.0
//
// What the keeper answers: done, or a reason code with its text.
#pragma once

#include <string>

#include "common/base/result.h"
#include "common/schema/session.capnp.h"

namespace om::guest {

namespace schema = ::om::wire;

struct Outcome {
  std::string code, message;
  bool ok() const { return code.empty(); }
};
Outcome fail(std::string code, std::string message);
Outcome fail(const Error& error);
void write_outcome(schema::Outcome::Builder to, const Outcome& from);

}  // namespace om::guest
