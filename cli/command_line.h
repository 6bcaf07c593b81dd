// SPDX-License-Identifier: Apache-2.0
//
// Where om's own arguments end and the job's begin, for `om run` and `om check`.
#pragma once

#include <string>
#include <vector>

namespace om::cli {

struct SplitArguments {
  std::vector<std::string> own;      // up to and with the verb's options
  std::vector<std::string> command;  // the job, untouched; empty for the other verbs
};

// arguments: without argv[0]. In "run --cpu x86-64-v3 ./job --cpu y" the job begins at ./job; "--" before it
// is dropped.
SplitArguments split_arguments(const std::vector<std::string>& arguments);

}  // namespace om::cli
