// SPDX-License-Identifier: Apache-2.0
#include "cli/epitaph.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "cli/client.h"
#include "cli/output.h"

namespace om::cli {

// What happened before its last move does not explain its end.
std::string epitaph(pid_t pid) {
  Answer answer =
      request({{"verb", "epitaph"}, {"pid", pid}, {"wait_ms", 2000}}, Milliseconds(4000));
  std::string last;
  if (!answer.ok || !answer.data.is_array()) return last;
  for (const Json& event : answer.data) {
    std::string kind = json_string_or(event, "kind", 32, "").value_or("");
    std::string code = json_string_or(event, "code", 64, "").value_or("");
    if (kind == "moved" || kind == "home") last.clear();
    if ((kind != "lost" && kind != "note") || has_code(event, ReasonCode::kCameHome)) continue;
    last = fmt::format("{}: {}", code, json_string_or(event, "message", 1 << 16, "").value_or(""));
  }
  return last;
}

}  // namespace om::cli
