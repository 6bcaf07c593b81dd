// SPDX-License-Identifier: Apache-2.0
#include "cli/command_line.h"

#include <stddef.h>

#include <algorithm>

#include "common/base/text.h"

namespace om::cli {
namespace {

// Edit distance: how many letters to insert, delete, change or swap with a neighbour to turn one word into the other.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) {
    for (size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        d[i][j] = i + j;
        continue;
      }
      d[i][j] =
          std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

}  // namespace

std::string nearest_word(std::string_view given, const std::vector<std::string>& words) {
  constexpr size_t kMostLetters = 32;
  std::string best;
  size_t least = 3;
  if (given.empty() || given.size() > kMostLetters) return best;
  for (const std::string& word : words) {
    const bool begins = given.size() > 1 && word.compare(0, given.size(), given) == 0;
    const size_t away = begins ? 0 : distance(given, word);
    // A word of two letters does not count as two letters away from anything.
    if (away < least && away < given.size()) {
      best = word;
      least = away;
    }
  }
  return best;
}

std::string complaint_about_pid(const std::string& text) {
  constexpr int kMostProcesses = 1 << 22;  // limit of a 64-bit kernel
  int pid = 0;
  if (parse_number(text, pid) && pid >= 1 && pid <= kMostProcesses) return "";
  return text + " is no process number";
}

namespace {

struct Unit {
  char letter;
  int64_t seconds;
};
constexpr Unit kUnits[] = {{'d', 24 * 3600}, {'h', 3600}, {'m', 60}, {'s', 1}};
constexpr int64_t kMaxDuration = int64_t{10} * 365 * 24 * 3600;

}  // namespace

std::optional<std::chrono::seconds> parse_duration(std::string_view text) {
  if (text.empty()) return std::nullopt;
  int64_t number = 0;
  if (!parse_number(text.substr(0, text.size() - 1), number) || number < 1 || number > kMaxDuration)
    return std::nullopt;
  for (const Unit& unit : kUnits) {
    if (unit.letter != text.back()) continue;
    if (number > kMaxDuration / unit.seconds) return std::nullopt;
    return std::chrono::seconds(number * unit.seconds);
  }
  return std::nullopt;
}

std::string duration_text(std::chrono::seconds duration) {
  for (const Unit& unit : kUnits) {
    if (duration.count() >= unit.seconds && duration.count() % unit.seconds == 0)
      return std::to_string(duration.count() / unit.seconds) + unit.letter;
  }
  return "0s";
}

bool begins_cluster_run(const std::vector<std::string>& arguments) {
  return arguments.size() >= 2 && arguments[0] == "cluster" && arguments[1] == "run";
}

SplitArguments split_arguments(const std::vector<std::string>& arguments) {
  SplitArguments split;
  const bool in_cluster = begins_cluster_run(arguments);
  const bool starts =
      !arguments.empty() && (arguments.front() == "run" || arguments.front() == "check");
  if (!starts && !in_cluster) {
    split.own = arguments;
    return split;
  }
  size_t i = 0;
  for (int words = in_cluster ? 2 : 1; words > 0; --words) split.own.push_back(arguments[i++]);
  while (i < arguments.size() && arguments[i] != "--" && arguments[i].size() > 1 &&
         arguments[i].front() == '-') {
    const std::string& option = arguments[i];
    const bool takes_value =
        option == "--cpu" ||
        (in_cluster && (option == "--hosts" || option == "--launcher" || option == "--balance"));
    split.own.push_back(arguments[i++]);
    if (takes_value && i < arguments.size()) split.own.push_back(arguments[i++]);
  }
  if (i < arguments.size() && arguments[i] == "--") ++i;
  split.command.assign(arguments.begin() + static_cast<ptrdiff_t>(i), arguments.end());
  return split;
}

}  // namespace om::cli
