// SPDX-License-Identifier: Apache-2.0
#include "common/base/log_repeats.h"

#include <fmt/format.h>

#include <algorithm>

namespace om {

std::string LogRepeats::Line::summary() const {
  return fmt::format("{} ({} more in {} s)", text, more, kWindow.count());
}

bool LogRepeats::counts(std::string_view head, std::string_view text, Time now) {
  auto same = std::find_if(lines_.begin(), lines_.end(), [&](const Line& line) {
    return line.text == text && line.head == head;
  });
  if (same != lines_.end() && now - same->since < kWindow) {
    same->more++;
    return true;
  }
  if (same != lines_.end()) lines_.erase(same);
  // The oldest line that has not been repeated makes room: no count is lost.
  if (lines_.size() == kLines) {
    auto silent =
        std::find_if(lines_.begin(), lines_.end(), [](const Line& line) { return line.more == 0; });
    if (silent == lines_.end()) return false;
    lines_.erase(silent);
  }
  lines_.push_back({std::string(head), std::string(text), now});
  return false;
}

std::vector<LogRepeats::Line> LogRepeats::over(Time now) {
  std::vector<Line> said;
  for (const Line& line : lines_) {
    if (line.more != 0 && now - line.since >= kWindow) said.push_back(line);
  }
  std::erase_if(lines_, [&](const Line& line) { return now - line.since >= kWindow; });
  return said;
}

}  // namespace om
