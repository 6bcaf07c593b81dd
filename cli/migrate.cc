// SPDX-License-Identifier: Apache-2.0
//
// om migrate PID NODE|home: returns when the process runs there, or says why it does not.
#include <fmt/core.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "cli/client.h"
#include "cli/output.h"
#include "cli/verbs.h"

namespace om::cli {
namespace {

// --json always prints a record; if the daemon has not sent one, it is made from the failure.
Json record_of(const Answer& answer, const MigrateArguments& arguments) {
  if (answer.data.is_object()) return answer.data;
  return Json{{"pid", arguments.pid},
              {"from", ""},
              {"to", arguments.to},
              {"mode", ""},
              {"freeze_ms", 0},
              {"total_ms", 0},
              {"bytes_raw", 0},
              {"bytes_wire", 0},
              {"pages", 0},
              {"threads", 0},
              {"result", answer.failure.exit == ExitCode::kRefused ? "refused" : "failed"},
              {"code", answer.failure.code},
              {"message", answer.failure.message},
              {"moved", false}};
}

}  // namespace

int migrate(const MigrateArguments& arguments) {
  auto limit_ms = static_cast<int64_t>(std::ceil(arguments.timeout_s * 1000));
  // The daemon enforces the time limit; the margin is for an answer on its way.
  Answer answer = request(
      {{"verb", "migrate"}, {"pid", arguments.pid}, {"to", arguments.to}, {"timeout_ms", limit_ms}},
      Milliseconds(limit_ms + 5000));
  if (arguments.json) {
    int printed = print_json(record_of(answer, arguments));
    if (printed != 0) return printed;
  }
  if (!answer.ok) return report(answer.failure);
  if (arguments.json) return 0;
  const Json& data = answer.data;
  if (has_code(data, ReasonCode::kAlreadyThere)) {
    complain(json_string_or(data, "message", 4096, "").value_or(""));
    return 0;
  }
  auto text = [&data](const char* key) {
    return harmless(json_string_or(data, key, 256, "?").value_or("?"));
  };
  auto figure = [&data](const char* key) { return json_number(data, key, 0, 1e16).value_or(0); };
  return print_text(fmt::format("{}: {} -> {} in {:.0f} ms (frozen {:.1f} ms, {} sent)\n",
                                arguments.pid, text("from"), text("to"), figure("total_ms"),
                                figure("freeze_ms"),
                                human_bytes(static_cast<uint64_t>(figure("bytes_wire")))));
}

}  // namespace om::cli
