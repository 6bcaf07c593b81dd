// SPDX-License-Identifier: Apache-2.0
//
// Anyone who can make a program warn can make it fill the disk: a repeated line is written once, then counted. Part of
// log.cc; time is an argument.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace om {

class LogRepeats {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::chrono::seconds kWindow{10};
  static constexpr size_t kLines = 16;

  struct Line {
    std::string head;  // level and area
    std::string text;
    Time since;
    uint64_t more = 0;

    // The text, and how often it has been repeated since it was written.
    std::string summary() const;
  };

  // Whether the line was written within the window; if so, it is only counted.
  bool counts(std::string_view head, std::string_view text, Time now);
  // Lines repeated in a window that is over. Write them before the next line.
  std::vector<Line> over(Time now);

 private:
  std::vector<Line> lines_;
};

}  // namespace om
