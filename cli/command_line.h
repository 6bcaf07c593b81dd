// SPDX-License-Identifier: Apache-2.0
//
// Finds where om's own arguments end and the job's begin, for `om run`, `om check` and `om cluster run`.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace om::cli {

struct SplitArguments {
  std::vector<std::string> own;      // up to and including the verb's options
  std::vector<std::string> command;  // the job, untouched; empty for the other verbs
};

// arguments: without argv[0]. In "run --cpu x86-64-v3 ./job --cpu y" the job begins at ./job; a "--" before it is
// dropped.
SplitArguments split_arguments(const std::vector<std::string>& arguments);

// Whether they are those of `om cluster run`.
bool begins_cluster_run(const std::vector<std::string>& arguments);

// The word of `words` nearest to `given`: one that starts with it, or is at most two letters away. Empty if there is
// none.
std::string nearest_word(std::string_view given, const std::vector<std::string>& words);

// "90s", "30m", "12h", "7d": 1 second to 10 years. nullopt for anything else.
std::optional<std::chrono::seconds> parse_duration(std::string_view text);

// The reverse, in the largest unit that fits: "90m", "1d".
std::string duration_text(std::chrono::seconds duration);

// What is wrong with a pid; empty if nothing is.
std::string complaint_about_pid(const std::string& text);

}  // namespace om::cli
