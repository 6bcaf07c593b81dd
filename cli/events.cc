// SPDX-License-Identifier: Apache-2.0
//
// om events [PID]: what happened on this node lately, oldest first.
#include <nlohmann/json.hpp>

#include "cli/client.h"
#include "cli/output.h"
#include "cli/verbs.h"

namespace om::cli {

int events(int pid, bool json) {
  Json query{{"verb", "events"}};
  if (pid != 0) query["pid"] = pid;
  Answer answer = request(query);
  if (!answer.ok) return report(answer.failure);
  if (json) return print_json(answer.data);
  std::vector<std::vector<std::string>> rows{{"TIME", "EVENT", ">PID", "NODE", "CODE", "MESSAGE"}};
  for (const Json& item : answer.data) {
    auto text = [&item](const char* key) {
      return harmless(json_string_or(item, key, 1 << 20, "").value_or(""));
    };
    int64_t about = json_int_or(item, "pid", 0, INT64_MAX, 0).value_or(0);
    rows.push_back({text("time"), text("kind"), about == 0 ? "-" : std::to_string(about),
                    text("node"), text("code"), text("message")});
  }
  return print_text(format_table(rows, stdout_columns(), stdout_colour()));
}

}  // namespace om::cli
