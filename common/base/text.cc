// SPDX-License-Identifier: Apache-2.0
#include "common/base/text.h"

#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include <algorithm>

#include "common/base/unique_fd.h"

namespace om {

std::string_view take_line(std::string_view& rest) {
  size_t end = rest.find('\n');
  std::string_view line = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return line;
}

std::string_view take_field(std::string_view& rest) {
  size_t begin = rest.find_first_not_of(" \t");
  if (begin == std::string_view::npos) {
    rest = {};
    return {};
  }
  rest.remove_prefix(begin);
  std::string_view field = rest.substr(0, rest.find_first_of(" \t"));
  rest.remove_prefix(field.size());
  return field;
}

std::string_view trim(std::string_view text) {
  size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

bool parse_number(std::string_view text, double& out) {
  const char* end = text.data() + text.size();
  auto [stop, error] = std::from_chars(text.data(), end, out, std::chars_format::fixed);
  return error == std::errc() && stop == end;
}

Error bad_text(std::string_view file, std::string_view text) {
  constexpr size_t kShown = 60;
  std::string shown(text.substr(0, kShown));
  for (char& c : shown) {
    if (c < ' ' || c == 0x7f) c = '?';
  }
  return Error{EBADMSG,
               std::string(file) + ": \"" + shown + (text.size() > kShown ? "...\"" : "\"")};
}

Result<std::string> read_text_of(int fd, const std::string& path) {
  // seq_file returns about a page per read; a large buffer saves calls only for cmdline, environ and auxv. Most files
  // that are read often have less than a page, and clearing 64 KiB costs as much as reading them.
  constexpr size_t kFirst = size_t{4} << 10, kChunk = size_t{64} << 10;
  std::string text;
  size_t used = 0;
  for (;;) {
    if (used > kMaxTextBytes) return Error{EFBIG, "read " + path};
    const size_t chunk = used == 0 ? kFirst : kChunk;
    if (text.size() - used < chunk / 2) text.resize(std::max(text.size() * 2, used + chunk));
    ssize_t n = ::read(fd, text.data() + used, text.size() - used);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_error("read " + path);
    if (n == 0) break;
    used += static_cast<size_t>(n);
  }
  text.resize(used);
  return text;
}

Result<std::string> read_text(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return errno_error("open " + path);
  return read_text_of(fd.get(), path);
}

Result<std::string> read_link(const std::string& path) {
  char target[PATH_MAX];
  ssize_t n = ::readlink(path.c_str(), target, sizeof target);
  if (n < 0) return errno_error("readlink " + path);
  return std::string(target, static_cast<size_t>(n));
}

}  // namespace om
