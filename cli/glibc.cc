// SPDX-License-Identifier: Apache-2.0
#include "cli/glibc.h"

#include <fmt/core.h>

#include <algorithm>

#include "common/base/text.h"

namespace om::cli {

int glibc_version(std::string_view text) {
  constexpr std::string_view kStart = "glibc 2.";
  int minor = 0;
  if (!text.starts_with(kStart)) return 0;
  text.remove_prefix(kStart.size());
  const std::string_view digits = text.substr(0, text.find_first_not_of("0123456789"));
  return parse_number(digits, minor) && minor < 1000 ? 2000 + minor : 0;
}

std::string glibc_text(int version) { return fmt::format("{}.{}", version / 1000, version % 1000); }

int glibc_needed(std::string_view bytes) {
  // The names of versions are strings of the file; one that is only a text in it does no harm.
  constexpr std::string_view kStart = "GLIBC_2.";
  int highest = 0;
  for (size_t at = 0; (at = bytes.find(kStart, at)) != bytes.npos;) {
    at += kStart.size();
    size_t end = at;
    while (end < bytes.size() && end - at < 4 && bytes[end] >= '0' && bytes[end] <= '9') ++end;
    int minor = 0;
    const bool whole = end < bytes.size() && (bytes[end] == '\0' || bytes[end] == '.');
    if (whole && parse_number(bytes.substr(at, end - at), minor) && minor < 1000)
      highest = std::max(highest, 2000 + minor);
  }
  return highest;
}

}  // namespace om::cli
