// SPDX-License-Identifier: Apache-2.0
//
// What every parser of foreign text is built on: splitting into lines and fields, checked numbers, whole-file reads. A
// malformed field is an Error with EBADMSG, never a guess: paths, names and command lines come from programs.
#pragma once

#include <charconv>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace om {

// Longer texts are not read; 65,530 mappings in smaps are 50 MB.
constexpr size_t kMaxTextBytes = size_t{256} << 20;

// The first line of `rest` without its newline; `rest` loses both. Call while `rest` is not empty.
std::string_view take_line(std::string_view& rest);

// The first field of `rest`, split at blanks and tabs; empty at the end of the text.
std::string_view take_field(std::string_view& rest);

std::string_view trim(std::string_view text);

// Parses all of `text` as a number of type T; false if it is empty, has other characters or does not fit.
template <class T>
bool parse_number(std::string_view text, T& out, int base = 10) {
  const char* end = text.data() + text.size();
  auto [stop, error] = std::from_chars(text.data(), end, out, base);
  return error == std::errc() && stop == end;
}

bool parse_number(std::string_view text, double& out);

// EBADMSG with the file's name and the offending text, shortened and with control characters
// replaced.
Error bad_text(std::string_view file, std::string_view text);

// The whole file. Errors: those of open(2) and read(2), EFBIG above kMaxTextBytes.
Result<std::string> read_text(const std::string& path);
// The rest of an open file, from its position on; `path` is for the message.
Result<std::string> read_text_of(int fd, const std::string& path);

// Target of a symbolic link, as the kernel prints it (not escaped for /proc/PID/fd/N).
Result<std::string> read_link(const std::string& path);

}  // namespace om
