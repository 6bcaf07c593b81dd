// SPDX-License-Identifier: Apache-2.0
//
// om cluster init, join and leave: how this machine becomes a member of a cluster, and ends to be one. The daemon does
// the work (migrator/control/cluster_verbs.h).
#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "cli/client.h"
#include "cli/command_line.h"
#include "cli/output.h"
#include "cli/passphrase.h"
#include "cli/verbs.h"

namespace om::cli {
namespace {

// The daemon looks up a name, tries the address, and may be sent on to another one.
constexpr Milliseconds kJoinPatience{60000};
// Processes and guests go home first.
constexpr Milliseconds kLeavePatience{130000};

}  // namespace

int cluster_init(const MembershipArguments& arguments) {
  const auto ttl = parse_duration(arguments.ttl);
  if (!ttl) {
    complain(arguments.ttl + " is no time: 90s, 30m, 12h or 7d");
    return static_cast<int>(ExitCode::kUsage);
  }
  Json query{{"verb", "cluster.init"}, {"name", arguments.name}, {"ttl_s", ttl->count()}};
  if (arguments.uses != 0) query["uses"] = arguments.uses;
  const Answer answer = request(query);
  if (!answer.ok) return report(answer.failure);
  if (const std::string hint = text_of(answer.data, "hint"); !hint.empty()) complain(hint);
  if (arguments.json) return print_json(answer.data);
  return print_text(fmt::format(
      "{} is the first node of the cluster {}. On the others, within {}:\n"
      "om cluster join {} {}\n",
      text_of(answer.data, "node"), text_of(answer.data, "cluster"), duration_text(*ttl),
      text_of(answer.data, "token"), text_of(answer.data, "address")));
}

int cluster_join(const MembershipArguments& arguments) {
  std::string token = arguments.token;
  if (token == "-") {
    auto line = read_secret("token", false);
    if (!line) {
      complain("token: " + line.error().text());
      return static_cast<int>(ExitCode::kUsage);
    }
    token = std::move(*line);
  }
  Json query{{"verb", "cluster.join"}, {"token", token}};
  if (!arguments.address.empty()) query["address"] = arguments.address;
  const Answer answer = request(query, kJoinPatience);
  if (!answer.ok) return report(answer.failure);
  if (arguments.json) return print_json(answer.data);
  return print_text(fmt::format("{} is node {} of the cluster {}.\n", text_of(answer.data, "node"),
                                number_of(answer.data, "number"), text_of(answer.data, "cluster")));
}

int cluster_leave(const MembershipArguments& arguments) {
  const Answer answer =
      request({{"verb", "cluster.leave"}, {"force", arguments.force}}, kLeavePatience);
  if (!answer.ok) {
    complain_of_left(answer.data);
    return report(answer.failure);
  }
  if (arguments.json) return print_json(answer.data);
  return print_text(fmt::format("{} has left the cluster {}.\n", text_of(answer.data, "node"),
                                text_of(answer.data, "cluster")));
}

}  // namespace om::cli
