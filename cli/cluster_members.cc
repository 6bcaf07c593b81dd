// SPDX-License-Identifier: Apache-2.0
//
// om cluster status, renew and remove: the cluster as this node sees it, and who stays in it.
#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "cli/client.h"
#include "cli/output.h"
#include "cli/verbs.h"

namespace om::cli {
namespace {

// A signer may have to be dialled.
constexpr Milliseconds kRenewPatience{40000};

bool flag_of(const Json& data, const char* key) {
  return json_bool_or(data, key, false).value_or(false);
}

// The members of a list; none if there is no such list.
Json list_of(const Json& data, const char* key) {
  const auto found = data.find(key);
  return found != data.end() && found->is_array() ? *found : Json::array();
}

std::string member_table(const Json& members) {
  std::vector<std::vector<std::string>> rows{
      {"NODE", ">NUMBER", "ID", "ADDRESS", "STATE", "SIGNER"}};
  for (const Json& item : members) {
    rows.push_back({text_of(item, "name") + (flag_of(item, "self") ? "*" : ""),
                    std::to_string(number_of(item, "number")), text_of(item, "id"),
                    text_of(item, "address"), text_of(item, "state"),
                    flag_of(item, "signer") ? "yes" : ""});
  }
  return format_table(rows, stdout_columns(), stdout_colour());
}

std::string removed_table(const Json& denied) {
  std::vector<std::vector<std::string>> rows{{"REMOVED", "ID", "TIME", "REASON"}};
  for (const Json& item : denied)
    rows.push_back({text_of(item, "name"), text_of(item, "id"), text_of(item, "time"),
                    text_of(item, "reason")});
  return format_table(rows, stdout_columns(), stdout_colour());
}

}  // namespace

int cluster_status(const MembershipArguments& arguments) {
  const Answer answer = request({{"verb", "cluster.status"}});
  if (!answer.ok) return report(answer.failure);
  if (arguments.json) return print_json(answer.data);
  const Json& data = answer.data;
  if (!flag_of(data, "member")) {
    return print_text(
        fmt::format("{} ({}) is in no cluster.\n", text_of(data, "node"), text_of(data, "id")));
  }
  std::string out =
      fmt::format("cluster {}, {}\nthis node's certificate: until {}{}\n", text_of(data, "cluster"),
                  text_of(data, "cluster_id"), text_of(data, "certificate_until"),
                  flag_of(data, "denied") ? "; the node was removed" : "");
  if (const std::string warning = text_of(data, "warning"); !warning.empty())
    out += "warning: " + warning + "\n";
  out += "\n" + member_table(list_of(data, "members"));
  if (const Json denied = list_of(data, "removed"); !denied.empty())
    out += "\n" + removed_table(denied);
  return print_text(out);
}

int cluster_renew(const MembershipArguments& arguments) {
  const Answer answer = request({{"verb", "cluster.renew"}}, kRenewPatience);
  if (!answer.ok) return report(answer.failure);
  if (arguments.json) return print_json(answer.data);
  return print_text(fmt::format("certificate until {}, signed by {}\n",
                                text_of(answer.data, "certificate_until"),
                                text_of(answer.data, "signer")));
}

int cluster_remove(const MembershipArguments& arguments) {
  const Answer answer =
      request({{"verb", "cluster.remove"}, {"node", arguments.node}, {"reason", arguments.reason}});
  if (!answer.ok) return report(answer.failure);
  if (arguments.json) return print_json(answer.data);
  return print_text(fmt::format(
      "{} ({}) is removed; {} nodes know at once, the others when they "
      "next hear of one of them.\n",
      text_of(answer.data, "name"), text_of(answer.data, "id"), number_of(answer.data, "told")));
}

}  // namespace om::cli
