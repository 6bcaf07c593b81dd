// SPDX-License-Identifier: Apache-2.0
//
// Whoever can make a program warn can make it fill the disk: the same line is written once, then counted. Part of
// log.cc; time comes in as an argument.
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

    // The text, and how often it was said since it was written.
    std::string summary() const;
  };

  // True: it has been written within the window, and is counted only.
  bool counts(std::string_view head, std::string_view text, Time now);
  // What was said again in a window that is over. To be written before the next line.
  std::vector<Line> over(Time now);

 private:
  std::vector<Line> lines_;
};

}  // namespace om
