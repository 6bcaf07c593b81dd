// SPDX-License-Identifier: Apache-2.0
//
// om why PID: why the process cannot be moved now. For a process at home om examines /proc with the caller's own
// rights; for one that is away, or was lost, it shows the deputy's notes.
#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/client.h"
#include "cli/epitaph.h"
#include "cli/output.h"
#include "cli/reason_list.h"
#include "cli/verbs.h"
#include "common/movable/preflight.h"

namespace om::cli {
namespace {

// Notes since the last move; each code once, the latest message.
std::vector<ReasonText> notes_of(const Json& events) {
  std::vector<ReasonText> notes;
  if (!events.is_array()) return notes;
  for (const Json& event : events) {
    std::string kind = json_string_or(event, "kind", 32, "").value_or("");
    std::string code = json_string_or(event, "code", 64, "").value_or("");
    if (kind == "moved") notes.clear();
    if ((kind != "note" && kind != "lost") || code.empty()) continue;
    // A note that is not a reason is only for om events.
    const auto known = reason_from_name(code);
    if (kind == "note" && !(known && speaks_against_moving(*known))) continue;
    std::erase_if(notes, [&code](const ReasonText& note) { return note.code == code; });
    notes.push_back(reason_text(code, json_string_or(event, "message", 1 << 16, "").value_or("")));
  }
  return notes;
}

// If the process was lost, says why.
int report_no_process(pid_t pid) {
  const std::string last = epitaph(pid);
  return report({ExitCode::kNotFound, ReasonCode::kNoSuchProcess,
                 last.empty() ? fmt::format("there is no process {}", pid)
                              : fmt::format("there is no process {} any more: {}", pid, last)});
}

}  // namespace

int why(int pid, bool json) {
  Answer daemon = request({{"verb", "why"}, {"pid", pid}});
  bool unreachable = !daemon.ok && daemon.failure.exit == ExitCode::kUnreachable;
  if (!daemon.ok && daemon.failure.is(ReasonCode::kNoSuchProcess)) return report_no_process(pid);
  if (!daemon.ok && !unreachable && !daemon.failure.is(ReasonCode::kOtherNode) &&
      !daemon.failure.is(ReasonCode::kGuest))
    return report(daemon.failure);

  std::vector<ReasonText> reasons;
  std::string state = "home";
  std::string at;
  if (daemon.ok) {
    state = json_string_or(daemon.data, "state", 16, "home").value_or("home");
    at = json_string_or(daemon.data, "at", 64, "").value_or("");
    // The daemon follows `om run` to its job.
    pid = static_cast<int>(json_int_or(daemon.data, "pid", 1, INT32_MAX, pid).value_or(pid));
  }
  if (state == "home") {
    std::vector<Reason> found = preflight_process(pid);
    for (const Reason& reason : found) {
      if (reason.code == ReasonCode::kNoSuchProcess) return report_no_process(pid);
      if (reason.code == ReasonCode::kPermission) {
        return report({ExitCode::kPermission, reason});
      }
    }
    reasons = reason_texts(found);
  } else {
    reasons = notes_of(daemon.data.is_object() ? daemon.data.value("events", Json()) : Json());
  }
  if (daemon.ok && daemon.data.contains("kept")) {
    const Json& kept = daemon.data["kept"];
    // First, in the words of `om migrate`.
    reasons.insert(reasons.begin(),
                   reason_text(json_string_or(kept, "code", 64, "").value_or(""),
                               json_string_or(kept, "message", 4096, "").value_or("")));
  }
  if (!daemon.ok) reasons.push_back(reason_text(daemon.failure.code, daemon.failure.message));

  int status = unreachable ? static_cast<int>(ExitCode::kUnreachable) : 0;
  if (json) {
    Json answer = reasons_json(reasons);
    answer.update({{"pid", pid}, {"at", at}, {"state", state}});
    int printed = print_json(answer);
    return printed != 0 ? printed : status;
  }
  std::string text =
      reasons.empty() ? fmt::format("process {} can move\n", pid) : reasons_human(reasons);
  int printed = print_text(text);
  return printed != 0 ? printed : status;
}

}  // namespace om::cli
