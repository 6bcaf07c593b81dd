// SPDX-License-Identifier: Apache-2.0
//
// Small conversions between KJ, nlohmann and our own types.
#pragma once

#include <errno.h>
#include <kj/exception.h>
#include <kj/string.h>
#include <string.h>

#include <algorithm>
#include <string>

#include "common/base/log.h"
#include "common/movable/reasons.h"
#include "gen/syscalls_names.h"

namespace om::deputy {

// Foreign or library text as one line of a sensible length without control characters.
inline std::string one_line(kj::StringPtr text) {
  constexpr size_t kMost = 1000;
  std::string s(text.begin(), std::min(text.size(), kMost));
  std::replace_if(
      s.begin(), s.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
  return s;
}

// A body may name any number, and libom has some of its own that are in no table.
inline std::string name_of_call(uint64_t nr) {
  const char* name = syscall_name(nr);
  return name != nullptr ? name : "call " + std::to_string(nr);
}

// What an exception from KJ, here or at the keeper, means for a move; `unreachable` if the connection failed.
inline Reason broken(const kj::Exception& exception,
                     ReasonCode unreachable = ReasonCode::kTargetUnreachable) {
  const std::string text = one_line(exception.getDescription());
  ReasonCode code = unreachable;
  if (exception.getType() == kj::Exception::Type::OVERLOADED) {
    auto says = [&](const char* words) { return text.find(words) != std::string::npos; };
    if (says(::strerrordesc_np(EMFILE))) code = reason_of_errno(EMFILE);
    if (says(::strerrordesc_np(ENOMEM)) || says("bad_alloc")) code = reason_of_errno(ENOMEM);
  }
  if (code == unreachable) {
    log_debug("move", "{}", text);
    return Reason{code, exception.getType() == kj::Exception::Type::DISCONNECTED
                            ? "the connection was lost"
                            : text};
  }
  const bool theirs = text.starts_with("remote exception: ");
  return Reason{code, (theirs ? "om-guest: " : "om-deputy: ") + text};
}

}  // namespace om::deputy
