// SPDX-License-Identifier: Apache-2.0
//
// om node drain and undrain: empties this node, for an update or before it is switched off, and opens it again.
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

int node_drain(int limit_s, bool json) {
  const Milliseconds limit = std::chrono::seconds(limit_s);
  const Answer answer =
      request({{"verb", "node.drain"}, {"timeout_ms", limit.count()}}, limit + kPatience);
  if (!answer.ok) {
    complain_of_left(answer.data);
    return report(answer.failure);
  }
  if (json) return print_json(answer.data);
  return print_text(fmt::format(
      "{} of this node's processes came home, no guests are left; it takes nobody until om node "
      "undrain.\n",
      number_of(answer.data, "home")));
}

int node_undrain(bool json) {
  const Answer answer = request({{"verb", "node.undrain"}});
  if (!answer.ok) return report(answer.failure);
  return json ? print_json(answer.data) : 0;
}

}  // namespace om::cli
