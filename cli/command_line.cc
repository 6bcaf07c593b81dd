// SPDX-License-Identifier: Apache-2.0
#include "cli/command_line.h"

#include <stddef.h>

namespace om::cli {

SplitArguments split_arguments(const std::vector<std::string>& arguments) {
  SplitArguments split;
  if (arguments.empty() || (arguments.front() != "run" && arguments.front() != "check")) {
    split.own = arguments;
    return split;
  }
  size_t i = 0;
  split.own.push_back(arguments[i++]);
  while (i < arguments.size() && arguments[i] != "--" && arguments[i].size() > 1 &&
         arguments[i].front() == '-') {
    bool takes_value = arguments[i] == "--cpu";
    split.own.push_back(arguments[i++]);
    if (takes_value && i < arguments.size()) split.own.push_back(arguments[i++]);
  }
  if (i < arguments.size() && arguments[i] == "--") ++i;
  split.command.assign(arguments.begin() + static_cast<ptrdiff_t>(i), arguments.end());
  return split;
}

}  // namespace om::cli
