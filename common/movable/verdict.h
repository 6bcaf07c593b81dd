// SPDX-License-Identifier: Apache-2.0
//
// Verdict<T>: a value, or the Reason why a move does not happen. The steps of a move return it, in the deputy, the
// keeper and the daemon: that a process cannot move is a result, not an error. KJ exceptions are reserved for peers
// that are gone or break the protocol.
#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>

#include "common/base/fault.h"
#include "common/base/result.h"
#include "common/movable/reasons.h"

namespace om {

template <class T>
using Verdict = Expected<T, Reason>;
using Step = Verdict<void>;

template <class... Args>
Reason refuse(ReasonCode code, fmt::format_string<Args...> format, Args&&... args) {
  return Reason{code, fmt::format(format, std::forward<Args>(args)...)};
}
// A step that fails on demand (common/base/fault.h).
inline Step fault(std::string_view step) {
  if (!fault_at(step)) return Done{};
  return Reason{ReasonCode::kInternal, fault_text(step)};
}
// The Reason for a failure of ours or of the system, with errno: FD_LIMIT, NO_MEMORY or INTERNAL.
inline Reason internal(const Error& error) {
  return Reason{reason_of_errno(error.err), error.text()};
}

}  // namespace om

// The value of a Result; or returns its Error as a Reason.
#define OM_MUST(expression)                                             \
  __extension__({                                                       \
    auto om_must_result = (expression);                                 \
    if (!om_must_result) return ::om::internal(om_must_result.error()); \
    std::move(om_must_result).value();                                  \
  })
// The same for Result<void>.
#define OM_MUST_VOID(expression)                               \
  do {                                                         \
    if (auto om_must_result = (expression); !om_must_result) { \
      return ::om::internal(om_must_result.error());           \
    }                                                          \
  } while (false)
