// SPDX-License-Identifier: Apache-2.0
//
// om ps: the processes whose home is this node, wherever they run.
#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "cli/client.h"
#include "cli/output.h"
#include "cli/verbs.h"

namespace om::cli {

int ps(bool json) {
  Answer answer = request({{"verb", "ps"}});
  if (!answer.ok) return report(answer.failure);
  if (json) return print_json(answer.data);
  std::vector<std::vector<std::string>> rows{
      {">PID", "HOME", "AT", "STATE", ">THR", ">RSS", ">CPU%", "COMMAND"}};
  for (const Json& item : answer.data) {
    auto text = [&item](const char* key) {
      return harmless(json_string_or(item, key, 1 << 20, "?").value_or("?"));
    };
    auto number = [&item](const char* key) {
      return json_int_or(item, key, 0, INT64_MAX, 0).value_or(0);
    };
    std::string state = text("state");
    if (const auto silent = number("unreachable_s"); silent > 0)
      state = fmt::format("no contact {} s", silent);
    rows.push_back({std::to_string(number("pid")), text("home"), text("at"), state,
                    std::to_string(number("threads")),
                    human_bytes(static_cast<uint64_t>(number("rss_bytes"))),
                    fmt::format("{:.1f}", json_number(item, "cpu_percent", 0, 1e9).value_or(0)),
                    text("command")});
  }
  return print_text(format_table(rows, stdout_columns(), stdout_colour()));
}

}  // namespace om::cli
