// SPDX-License-Identifier: Apache-2.0
//
// om nodes: this node and its peers, with what they last reported about themselves; with --all also nodes that left or
// were removed, and strangers on the same network.
#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "cli/client.h"
#include "cli/output.h"
#include "cli/verbs.h"

namespace om::cli {

int nodes(bool all, bool json) {
  Answer answer = request({{"verb", "nodes"}, {"all", all}});
  if (!answer.ok) return report(answer.failure);
  if (json) return print_json(answer.data);
  std::vector<std::vector<std::string>> rows{
      {"NODE", "STATE", "ADDRESS", ">CPUS", ">LOAD", ">MEMORY", ">FREE", ">GUESTS", "KERNEL"}};
  std::string warning;
  for (const Json& item : answer.data) {
    if (warning.empty()) warning = text_of(item, "warning");
    auto text = [&item](const char* key) { return text_of(item, key); };
    auto number = [&item](const char* key) { return number_of(item, key); };
    bool self = json_bool_or(item, "self", false).value_or(false);
    bool up = text("state") == "up";
    rows.push_back({text("name") + (self ? "*" : ""), text("state"), text("address"),
                    std::to_string(number("cpus")),
                    fmt::format("{:.2f}", json_number(item, "load", 0, 1e9).value_or(0)),
                    human_bytes(number("memory_bytes")), human_bytes(number("free_bytes")),
                    std::to_string(number("guests")), up ? text("kernel") : text("reason")});
  }
  const int status = print_text(format_table(rows, stdout_columns(), stdout_colour()));
  if (!warning.empty()) complain("warning: " + warning);
  return status;
}

}  // namespace om::cli
