// SPDX-License-Identifier: Apache-2.0
//
// Result<T>: a value or an Error, for hosted code that does not use KJ exceptions (migrator, command line,
// common). An Error is data for one log or diagnostic line: what was being done, for whom, and the errno.
// Nobody below main logs it; it is handed up with OM_TRY.
//
//   Result<UniqueFd> open_log(const std::string& path);
//   UniqueFd fd = OM_TRY(open_log(path));
#pragma once

#include <errno.h>
#include <string.h>

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

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  // Preconditions: ok(). std::get throws otherwise, which ends the process: a mistake of ours.
  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  T value_or(T other) && { return ok() ? std::get<0>(std::move(state_)) : std::move(other); }

  // Preconditions: !ok().
  const Error& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)), ok_(false) {}

  bool ok() const { return ok_; }
  explicit operator bool() const { return ok_; }
  void value() const {}
  const Error& error() const { return error_; }

 private:
  Error error_;
  bool ok_ = true;
};

}  // namespace om

// The value of a Result, or return its Error from the function around it. May be nested.
#define OM_TRY(expression) OM_TRY_AS(OM_TRY_NAME(om_try_, __COUNTER__), expression)
#define OM_TRY_NAME(prefix, number) OM_TRY_PASTE(prefix, number)
#define OM_TRY_PASTE(prefix, number) prefix##number
#define OM_TRY_AS(name, expression) \
  __extension__({                   \
    auto name = (expression);       \
    if (!name) return name.error(); \
    std::move(name).value();        \
  })
