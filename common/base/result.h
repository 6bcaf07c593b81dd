// SPDX-License-Identifier: Apache-2.0
//
// Expected<T, E>: a value, or why there is none. Result<T> is the one with an Error, for hosted code that uses no KJ
// exceptions (migrator, command line, common). An Error is data for one log or diagnostic line: what was being done,
// for whom, and the errno. Nothing below main logs it; OM_TRY passes it up.
//
//   Result<UniqueFd> open_log(const std::string& path);
//   UniqueFd fd = OM_TRY(open_log(path));
#pragma once

#include <errno.h>
#include <string.h>

#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace om {

struct Error {
  int err = 0;       // errno, 0 if there is none
  std::string what;  // "open /etc/om.toml"

  // "open /etc/om.toml: No such file or directory"
  std::string text() const { return err == 0 ? what : what + ": " + ::strerrordesc_np(err); }
};

// An Error with the errno of the call that has just failed.
inline Error errno_error(std::string what) {
  int err = errno;
  return Error{err, std::move(what)};
}

// An Error that has no errno.
inline Error plain_error(std::string what) { return Error{0, std::move(what)}; }

// Success without a value, for where `return {}` says too little.
struct Done {};

// A value, or an E that says why there is none: Result<T> (Error) and Verdict<T> (the Reason of
// common/movable/verdict.h).
template <class T, class E>
class [[nodiscard]] Expected {
 public:
  Expected(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Expected(E error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  // Preconditions: ok(). Otherwise std::get throws, which ends the process: a bug of ours.
  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  T value_or(T other) && { return ok() ? std::get<0>(std::move(state_)) : std::move(other); }

  // Preconditions: !ok().
  const E& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, E> state_;
};

template <class E>
class [[nodiscard]] Expected<void, E> {
 public:
  Expected() = default;
  Expected(Done) {}
  Expected(E error) : error_(std::move(error)) {}

  bool ok() const { return !error_; }
  explicit operator bool() const { return ok(); }
  void value() const {}
  // Preconditions: !ok(). optional::value() throws otherwise.
  const E& error() const { return error_.value(); }

 private:
  std::optional<E> error_;
};

template <class T>
using Result = Expected<T, Error>;

}  // namespace om

// The value of an Expected; or returns its error from the enclosing function. May be nested.
#define OM_TRY(expression) OM_TRY_AS(OM_TRY_NAME(om_try_, __COUNTER__), expression)
#define OM_TRY_NAME(prefix, number) OM_TRY_PASTE(prefix, number)
#define OM_TRY_PASTE(prefix, number) prefix##number
#define OM_TRY_AS(name, expression) \
  __extension__({                   \
    auto name = (expression);       \
    if (!name) return name.error(); \
    std::move(name).value();        \
  })
