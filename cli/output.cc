// SPDX-License-Identifier: Apache-2.0
#include "cli/output.h"

#include <fmt/core.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "common/log.h"
#include "common/reasons.h"

namespace om::cli {

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

int print_json(const Json& value) { return print_text(to_json_line(value)); }

std::string harmless(std::string_view text) {
  std::string out;
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    out += byte < 0x20 || byte == 0x7f ? '?' : c;
  }
  return out;
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

}  // namespace om::cli
