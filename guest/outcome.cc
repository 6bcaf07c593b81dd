// SPDX-License-Identifier: Apache-2.0
#include "guest/outcome.h"

#include "common/movable/reasons.h"

namespace om::guest {

Outcome fail(std::string code, std::string message) {
  return {std::move(code), std::move(message)};
}
Outcome fail(const Error& error) {
  return {std::string(reason_info(reason_of_errno(error.err)).name), error.text()};
}

void write_outcome(schema::Outcome::Builder to, const Outcome& from) {
  to.setOk(from.ok());
  to.setCode(from.code.c_str());
  to.setMessage(from.message.c_str());
}

}  // namespace om::guest
