// SPDX-License-Identifier: Apache-2.0
#include "cli/output.h"

#include <fmt/core.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "common/base/log.h"
#include "common/movable/reasons.h"

namespace om::cli {
namespace {

constexpr uint32_t kNoCharacter = 0xffffffff;

struct Character {
  uint32_t code = kNoCharacter;  // a byte that is not valid UTF-8
  size_t bytes = 1;
};

// Preconditions: text is not empty.
Character first_character(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return {first, 1};
  const size_t bytes = first >= 0xf0 && first < 0xf5 ? 4
                       : first >= 0xe0               ? 3
                       : first >= 0xc2               ? 2
                                                     : 0;
  if (bytes == 0 || first >= 0xf5 || bytes > text.size()) return {};
  uint32_t code = first & (0xff >> (bytes + 1));
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    code = code << 6 | (byte(i) & 0x3f);
  }
  constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < kLeast[bytes] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return {};
  return {code, bytes};
}

// Whether a terminal would obey the character instead of showing it: control characters of both kinds (U+009B is CSI),
// marks that change the writing direction, line separators, and non-characters.
bool harmful(uint32_t code) {
  return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x61c || code == 0x200e ||
         code == 0x200f || (code >= 0x2028 && code <= 0x202e) ||
         (code >= 0x2066 && code <= 0x2069) || code == 0xfeff || code == kNoCharacter;
}

}  // namespace

void complain(std::string_view text) {
  std::string line = fmt::format("om: {}\n", harmless(text));
  ::fwrite(line.data(), 1, line.size(), stderr);
}

int report(const Failure& failure) {
  complain(failure.code.empty() ? failure.message
                                : fmt::format("{}: {}", failure.code, failure.message));
  auto code = reason_from_name(failure.code);
  if (code) ::fprintf(stderr, "    %s\n", std::string(reason_info(*code).remedy).c_str());
  return static_cast<int>(failure.exit);
}

int print_text(std::string_view text) {
  bool written =
      ::fwrite(text.data(), 1, text.size(), stdout) == text.size() && ::fflush(stdout) == 0;
  if (written) return 0;
  complain("cannot write to stdout");
  return static_cast<int>(ExitCode::kFailure);
}

int print_json(const Json& value) {
  // Escapes what the JSON writer leaves alone although terminals obey it: the value stays the same.
  const std::string line = to_json_line(value);
  std::string out;
  for (std::string_view rest = line; !rest.empty();) {
    const Character next = first_character(rest);
    const bool escape = next.code >= 0x7f && next.code <= 0xffff && harmful(next.code);
    out += escape ? fmt::format("\\u{:04x}", next.code) : std::string(rest.substr(0, next.bytes));
    rest.remove_prefix(next.bytes);
  }
  return print_text(out);
}

std::string harmless(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const Character next = first_character(text);
    out += harmful(next.code) ? std::string_view("?") : text.substr(0, next.bytes);
    text.remove_prefix(next.bytes);
  }
  return out;
}

std::string text_of(const Json& object, const char* key, size_t max_bytes) {
  return harmless(json_string_or(object, key, max_bytes, "").value_or(""));
}

std::string long_text_of(const Json& object, const char* key) {
  return text_of(object, key, 1 << 20);
}

uint64_t number_of(const Json& object, const char* key) {
  return static_cast<uint64_t>(json_int_or(object, key, 0, INT64_MAX, 0).value_or(0));
}

bool stdout_colour() {
  const char* no_colour = ::getenv("NO_COLOR");
  const char* terminal = ::getenv("TERM");
  if (no_colour != nullptr && *no_colour != '\0') return false;
  if (terminal == nullptr || std::string_view(terminal) == "dumb") return false;
  return ::isatty(STDOUT_FILENO) == 1;
}

size_t stdout_columns() {
  winsize size{};
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

std::string format_table(const std::vector<std::vector<std::string>>& rows, size_t columns,
                         bool colour) {
  if (rows.empty()) return "";
  size_t count = rows.front().size();
  std::vector<size_t> widths(count, 0);
  std::vector<bool> right(count, false);
  std::vector<std::vector<std::string>> cells = rows;
  for (size_t i = 0; i < count; ++i) {
    std::string& heading = cells.front()[i];
    right[i] = !heading.empty() && heading.front() == '>';
    if (right[i]) heading.erase(0, 1);
    for (auto& row : cells) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (size_t r = 0; r < cells.size(); ++r) {
    std::string line;
    for (size_t i = 0; i < count; ++i) {
      bool last = i + 1 == count;
      if (right[i]) {
        line += fmt::format("{:>{}}", cells[r][i], widths[i]);
      } else {
        line += last ? cells[r][i] : fmt::format("{:<{}}", cells[r][i], widths[i]);
      }
      if (!last) line += "  ";
    }
    if (columns != 0 && line.size() > columns) line.resize(columns);
    out += r == 0 && colour ? "\x1b[1m" + line + "\x1b[0m\n" : line + "\n";
  }
  return out;
}

std::string human_bytes(uint64_t bytes) {
  constexpr std::array<char, 5> kUnits{'B', 'K', 'M', 'G', 'T'};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{}B", bytes) : fmt::format("{:.1f}{}", value, kUnits[unit]);
}

void complain_of_left(const Json& drained) {
  const auto failed = drained.is_object() ? drained.find("failed") : drained.end();
  if (failed != drained.end() && failed->is_array()) {
    for (const Json& item : *failed) {
      complain(fmt::format("{}: {}: {}", number_of(item, "pid"), text_of(item, "code"),
                           text_of(item, "message")));
    }
  }
  if (const uint64_t guests = number_of(drained, "guests"); guests != 0)
    complain(fmt::format("{} guest{} still here", guests, guests == 1 ? " is" : "s are"));
}

}  // namespace om::cli
