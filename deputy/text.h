// SPDX-License-Identifier: Apache-2.0
//
// Small conversions between KJ, nlohmann and our own types.
#pragma once

#include <kj/string.h>

#include <algorithm>
#include <string>

namespace om::deputy {

// Foreign or library text as one line without control characters.
inline std::string one_line(kj::StringPtr text) {
  std::string s(text.begin(), text.size());
  std::replace_if(
      s.begin(), s.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
  return s;
}

}  // namespace om::deputy
