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
  // Whichever comes first answers: the deputy or the clock.
  int64_t id = ++last_debug_id_;
  auto& timer = debug_timers_[id] = std::make_unique<Timer>(services_.loop);
  timer->start(kDebugLimit, [this, pid, id, answer] {
    if (DeputyLink* late = services_.deputies.find(pid)) late->forget(id);
    debug_timers_.erase(id);
    answer(failure_answer({ExitCode::kTimeout, ReasonCode::kTimeout, "the deputy did not answer"}));
  });
  link->command({{"verb", "debug"}, {"what", *what}}, id, [this, id, answer](const Json& data) {
    debug_timers_.erase(id);
    answer(ok_answer(data));
  });
}

bool DeputyVerbs::adopt(const Caller& caller, const Json& request,
                        std::unique_ptr<JsonStream>& stream) {
  if (json_string_or(request, "verb", 32, "").value_or("") != "deputy.attach") return false;
  auto pid = json_int(request, "pid", 1, kMaxPid);
  auto process = pid ? read_process(static_cast<pid_t>(*pid)) : Result<ProcessInfo>(pid.error());
  if (!process || (caller.uid != 0 && caller.uid != process->uid)) return false;
  const std::string secret = json_string_or(request, "secret", 64, "").value_or("");
  if (!services_.deputies.adopt(*process, caller.pid, secret, stream)) return false;
  services_.deputies.find(process->id.pid)->send(ok_answer(nullptr));
  return true;
}

void DeputyVerbs::refuse_attach(const Caller&, const Json&, Answerer answer) {
  answer(failure_answer({ExitCode::kFailure, ReasonCode::kNotAttached,
                         "no deputy of this node, or its process has another one already"}));
}

}  // namespace om::migrator
