// SPDX-License-Identifier: Apache-2.0
//
// om check -- COMMAND: what can be found out before the program starts. Exit status 0: nothing known would prevent
// moving it; 6: it could not move; 1: there is no such program.
#include <fmt/core.h>
#include <stdlib.h>

#include <nlohmann/json.hpp>

#include "cli/output.h"
#include "cli/reason_list.h"
#include "cli/verbs.h"
#include "common/movable/preflight.h"

namespace om::cli {

int check(const CheckArguments& arguments) {
  const char* path = ::getenv("PATH");
  auto report_of = preflight_command(arguments.command, path == nullptr ? "" : path);
  if (!report_of) {
    return report({ExitCode::kFailure,
                   fmt::format("{}: {}", arguments.command.front(), report_of.error().text())});
  }
  std::vector<ReasonText> reasons = reason_texts(report_of->reasons);
  int status = reasons.empty() ? 0 : static_cast<int>(ExitCode::kRefused);
  int printed = 0;
  if (arguments.json) {
    Json answer = reasons_json(reasons);
    answer["program"] = report_of->path;
    printed = print_json(answer);
  } else if (reasons.empty()) {
    printed = print_text(
        fmt::format("{}: nothing known prevents moving it\n", harmless(report_of->path)));
  } else {
    printed = print_text(reasons_human(reasons));
  }
  return printed != 0 ? printed : status;
}

}  // namespace om::cli
