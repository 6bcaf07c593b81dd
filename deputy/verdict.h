// SPDX-License-Identifier: Apache-2.0
//
// Verdict<T>: a value, or the Reason why a move does not happen. What the deputy's steps return: a process
// that cannot move is an answer, not an error. KJ exceptions are left to what they are for: a peer that is
// gone or talks nonsense.
#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>
#include <variant>

#include "common/base/fault.h"
#include "common/base/result.h"
#include "common/movable/reasons.h"

namespace om::deputy {

template <class T>
class [[nodiscard]] Verdict {
 public:
  Verdict(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Verdict(Reason reason) : state_(std::in_place_index<1>, std::move(reason)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  // Preconditions: ok().
  T& value() & { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T* operator->() { return &value(); }
  T& operator*() & { return value(); }
  // Preconditions: !ok().
  const Reason& reason() const { return std::get<1>(state_); }

 private:
  std::variant<T, Reason> state_;
};

struct Done {};
using Step = Verdict<Done>;

template <class... Args>
Reason refuse(ReasonCode code, fmt::format_string<Args...> format, Args&&... args) {
  return Reason{code, fmt::format(format, std::forward<Args>(args)...)};
}
// A step that fails on demand (common/base/fault.h).
inline Verdict<Done> fault(std::string_view step) {
  if (!fault_at(step)) return Done{};
  return Reason{ReasonCode::kInternal, fault_text(step)};
}
// Something of ours or of the system failed: what, with errno.
inline Reason internal(const Error& error) {
  return Reason{reason_of_errno(error.err), error.text()};
}

}  // namespace om::deputy

// The value of a Verdict, or return its Reason from the function around it.
#define OM_STEP(expression)                                \
  __extension__({                                          \
    auto om_step_verdict = (expression);                   \
    if (!om_step_verdict) return om_step_verdict.reason(); \
    std::move(om_step_verdict).value();                    \
  })
// The value of a Result; its Error becomes INTERNAL.
#define OM_MUST(expression)                                                     \
  __extension__({                                                               \
    auto om_must_result = (expression);                                         \
    if (!om_must_result) return ::om::deputy::internal(om_must_result.error()); \
    std::move(om_must_result).value();                                          \
  })
// The same for Result<void>.
#define OM_MUST_VOID(expression)                               \
  do {                                                         \
    if (auto om_must_result = (expression); !om_must_result) { \
      return ::om::deputy::internal(om_must_result.error());   \
    }                                                          \
  } while (false)
