// SPDX-License-Identifier: Apache-2.0
//
// om token create|list|revoke: the lines by which machines join the cluster. Only on a machine that may sign.
#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "cli/client.h"
#include "cli/command_line.h"
#include "cli/output.h"
#include "cli/verbs.h"

namespace om::cli {

int token_create(const MembershipArguments& arguments) {
  const auto ttl = parse_duration(arguments.ttl);
  if (!ttl) {
    complain(arguments.ttl + " is no time: 90s, 30m, 12h or 7d");
    return static_cast<int>(ExitCode::kUsage);
  }
  Json query{{"verb", "token.create"}, {"ttl_s", ttl->count()}};
  if (arguments.uses != 0) query["uses"] = arguments.uses;
  const Answer answer = request(query);
  if (!answer.ok) return report(answer.failure);
  if (arguments.json) return print_json(answer.data);
  return print_text(text_of(answer.data, "token") + "\n");
}

int token_list(const MembershipArguments& arguments) {
  const Answer answer = request({{"verb", "token.list"}});
  if (!answer.ok) return report(answer.failure);
  if (arguments.json) return print_json(answer.data);
  std::vector<std::vector<std::string>> rows{{"ID", ">USES LEFT", "EXPIRES", "STATE"}};
  for (const Json& item : answer.data) {
    rows.push_back({text_of(item, "id"),
                    std::to_string(json_int_or(item, "uses_left", 0, INT32_MAX, 0).value_or(0)),
                    text_of(item, "expires"), text_of(item, "state")});
  }
  return print_text(format_table(rows, stdout_columns(), stdout_colour()));
}

int token_revoke(const MembershipArguments& arguments) {
  const Answer answer = request({{"verb", "token.revoke"}, {"id", arguments.id}});
  if (!answer.ok) return report(answer.failure);
  return arguments.json ? print_json(answer.data) : 0;
}

}  // namespace om::cli
