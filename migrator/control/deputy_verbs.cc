// SPDX-License-Identifier: Apache-2.0
#include "migrator/control/deputy_verbs.h"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "common/base/log.h"

namespace om::migrator {
namespace {

constexpr Milliseconds kDebugLimit{10000};

}  // namespace

void DeputyVerbs::debug(const Caller& caller, const Json& request, Answerer answer) {
  auto what = json_string(request, "what", 64);
  if (!what) return answer(bad_request(what.error()));
  auto about = subjects_.find(caller, request, true, answer);
  if (!about) return;
  pid_t pid = about->process.id.pid;
  DeputyLink* link = services_.deputies.find(pid);
  if (link == nullptr) {
    return answer(failure_answer({ExitCode::kNotFound, ReasonCode::kNoDeputy,
                                  fmt::format("process {} has no deputy", pid)}));
  }
  // The deputy or the timer answers, whichever comes first.
  const int64_t id = ++last_debug_id_;
  const bool asked = link->cut(*what, [this, id, answer] {
    if (debug_timers_.erase(id) != 0) answer(ok_answer({{"result", "cut"}}));
  });
  if (!asked) {
    return answer(failure_answer({ExitCode::kFailure, ReasonCode::kTooManyRequests,
                                  "the deputy has not answered earlier ones"}));
  }
  auto& timer = debug_timers_[id] = std::make_unique<Timer>(services_.loop);
  timer->start(kDebugLimit, [this, id, answer] {
    debug_timers_.erase(id);
    answer(failure_answer({ExitCode::kTimeout, ReasonCode::kTimeout, "the deputy did not answer"}));
  });
}

bool DeputyVerbs::attach(const Caller& caller, const Json& request,
                         std::unique_ptr<JsonStream>& stream) {
  if (json_string_or(request, "verb", 32, "").value_or("") != "deputy.attach") return false;
  auto pid = json_int(request, "pid", 1, kMaxPid);
  auto process = pid ? read_process(static_cast<pid_t>(*pid)) : Result<ProcessInfo>(pid.error());
  if (!process || !services_.rights.may_use_process_of(caller, process->uid)) return false;
  const std::string secret = json_string_or(request, "secret", 64, "").value_or("");
  return services_.deputies.attach(*process, caller.pid, secret, *stream);
}

void DeputyVerbs::refuse_attach(const Caller&, const Json&, Answerer answer) {
  answer(failure_answer({ExitCode::kFailure, ReasonCode::kNotAttached,
                         "no deputy of this node, or its process has another one already"}));
}

}  // namespace om::migrator
