// SPDX-License-Identifier: Apache-2.0
//
// om node drain and undrain: empties a node, for an update or before it is switched off, and opens it again. Another
// node than this one must allow it (remote_control).
#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "cli/client.h"
#include "cli/output.h"
#include "cli/verbs.h"

namespace om::cli {
namespace {

// The daemon answers in time.
constexpr Milliseconds kPatience{30000};

}  // namespace

int node_drain(const std::string& node, int limit_s, bool json) {
  const Milliseconds limit = std::chrono::seconds(limit_s);
  Json question{{"verb", "node.drain"}, {"timeout_ms", limit.count()}};
  if (!node.empty()) question["node"] = node;
  const Answer answer = request(question, limit + kPatience);
  if (!answer.ok) {
    complain_of_left(answer.data);
    return report(answer.failure);
  }
  if (json) return print_json(answer.data);
  return print_text(
      fmt::format("{} of {} processes came home, no guests are left; it takes nobody until om node "
                  "undrain{}.\n",
                  number_of(answer.data, "home"), node.empty() ? "this node's" : node + "'s",
                  node.empty() ? "" : " " + node));
}

int node_undrain(const std::string& node, bool json) {
  Json question{{"verb", "node.undrain"}};
  if (!node.empty()) question["node"] = node;
  const Answer answer = request(question);
  if (!answer.ok) return report(answer.failure);
  return json ? print_json(answer.data) : 0;
}

}  // namespace om::cli
