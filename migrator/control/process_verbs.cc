// SPDX-License-Identifier: Apache-2.0
#include "migrator/control/process_verbs.h"

#include <fmt/core.h>
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "common/base/log.h"
#include "common/base/names.h"

namespace om::migrator {
namespace {

constexpr std::chrono::seconds kSilence{3};  // of a deputy that reports every second

double rounded(double value) { return std::round(value * 10) / 10; }

}  // namespace

void ProcessVerbs::migrate(const Caller& caller, const Json& request, Answerer answer) {
  auto to = json_string(request, "to", kMaxNodeName);
  if (!to) return answer(bad_request(to.error()));
  auto limit = json_int_or(request, "timeout_ms", 1, kMaxLimitMs, 60000);
  if (!limit) return answer(bad_request(limit.error()));
  auto about = subjects_.find(caller, request, true, answer);
  if (!about) return;
  std::string target = *to == "home" ? services_.name : *to;
  if (target != services_.name && services_.peers.find(target) == nullptr) {
    return answer(failure_answer(
        {ExitCode::kNotFound, ReasonCode::kNoSuchNode, "there is no node " + escaped(target, 80)}));
  }
  if (!about->member && target == services_.name) {
    return answer(failure_answer({ExitCode::kRefused, Reason{ReasonCode::kNotPreloaded, ""}}));
  }
  // For any other target, a process that is not preloaded goes on to the preflight, which finds the exact reason.
  services_.moves.request(about->process.id, target, Milliseconds(*limit), std::move(answer));
}

void ProcessVerbs::stack(const Caller& caller, const Json& request, Answerer answer) {
  auto limit = json_int_or(request, "timeout_ms", 1, kMaxLimitMs, 30000);
  if (!limit) return answer(bad_request(limit.error()));
  auto about = subjects_.find(caller, request, true, answer);
  if (!about) return;
  if (!about->member) {
    return answer(failure_answer({ExitCode::kRefused, Reason{ReasonCode::kNotPreloaded, ""}}));
  }
  services_.moves.ask(
      about->process.id,
      [](DeputyLink& deputy, DeputyLink::LookDone done) { deputy.stack(std::move(done)); },
      Milliseconds(*limit), std::move(answer));
}

void ProcessVerbs::trace(const Caller& caller, const Json& request, Answerer answer) {
  auto cursor = json_int_or(request, "cursor", 0, INT64_MAX, 0);
  if (!cursor) return answer(bad_request(cursor.error()));
  auto about = subjects_.find(caller, request, true, answer);
  if (!about) return;
  const ProcessId& id = about->process.id;
  if (!about->member) {
    return answer(failure_answer({ExitCode::kRefused, Reason{ReasonCode::kNotPreloaded, ""}}));
  }
  // A process at home forwards nothing and has no deputy to ask.
  if (services_.deputies.find(id.pid) == nullptr) {
    return answer(ok_answer({{"pid", id.pid},
                             {"at", services_.deputies.at(id)},
                             {"next", 0},
                             {"session", 0},
                             {"lost", 0},
                             {"records", Json::array()},
                             {"counts", Json::array()}}));
  }
  services_.moves.ask(
      id,
      [from = static_cast<uint64_t>(*cursor)](DeputyLink& deputy, DeputyLink::LookDone done) {
        deputy.trace(from, std::move(done));
      },
      Milliseconds(30000), std::move(answer));
}

Json ProcessVerbs::describe(const Caller& caller, const ProcessInfo& process) const {
  const ProcessId& id = process.id;
  DeputyLink::State state = services_.deputies.state(id);
  Json item{
      {"pid", id.pid},
      {"home", services_.name},
      {"at", services_.deputies.at(id)},
      {"threads", process.threads},
      {"rss_bytes", process.rss_bytes},
      {"cpu_percent", services_.sampler.cpu_percent(process)},
      {"cpu_ms", process.cpu_ms},
      {"running", nullptr},
      {"calls_per_cpu_s", nullptr},
      {"state", state_name(state)},
      {"command", services_.rights.sees_commands_of(caller, process.uid) ? process.command : ""}};
  if (const Activity* activity = services_.sampler.activities().find(id)) {
    item["running"] = rounded(activity->running);
    item["calls_per_cpu_s"] = rounded(activity->calls_per_cpu_s);
    item["cpu_ms"] = std::max(activity->cpu_ms, process.cpu_ms);
  }
  auto stats = services_.deputies.stats(id);
  if (state == DeputyLink::State::kAway && stats) {
    if (stats->rss_bytes != 0) item["rss_bytes"] = stats->rss_bytes;
    if (stats->threads != 0) item["threads"] = stats->threads;
    item["cpu_percent"] = stats->cpu_percent;
  }
  const auto silence =
      std::chrono::duration_cast<std::chrono::seconds>(services_.deputies.silence(id));
  if (silence > kSilence) item["unreachable_s"] = silence.count();
  item["cpu_percent"] = rounded(item["cpu_percent"].get<double>());
  return item;
}

void ProcessVerbs::ps(const Caller& caller, const Json&, Answerer answer) {
  services_.deputies.prune();
  services_.census.scan([this, caller, answer](const std::vector<ProcessInfo>& found) {
    Json list = Json::array();
    for (const ProcessInfo& process : found) list.push_back(describe(caller, process));
    answer(ok_answer(std::move(list)));
  });
}

void ProcessVerbs::where(const Caller& caller, const Json& request, Answerer answer) {
  auto about = subjects_.find(caller, request, false, answer);
  if (!about) return;
  pid_t pid = about->process.id.pid;
  if (!about->readable) {
    return answer(failure_answer({ExitCode::kFailure, Reason{ReasonCode::kNotDumpable, ""}}));
  }
  if (!about->member) {
    return answer(failure_answer(
        {ExitCode::kNotFound, ReasonCode::kNotPreloaded,
         fmt::format("process {} is not one of openMosix: libom.so is not loaded in it", pid)}));
  }
  const ProcessId& id = about->process.id;
  answer(ok_answer({{"pid", pid},
                    {"home", services_.name},
                    {"at", services_.deputies.at(id)},
                    {"state", state_name(services_.deputies.state(id))}}));
}

void ProcessVerbs::why(const Caller& caller, const Json& request, Answerer answer) {
  auto about = subjects_.find(caller, request, false, answer);
  if (!about) return;
  Json data = describe(caller, about->process);
  data["member"] = about->member;
  data["events"] = services_.events.list(about->process.id.pid);
  // The caller cannot know how this node is configured.
  services_.leaving.look_at_privileges(
      about->process.id.pid, [data = std::move(data), answer = std::move(answer)](
                                 const std::optional<Reason>& kept) mutable {
        if (kept) data["kept"] = {{"code", kept->name()}, {"message", kept->message()}};
        answer(ok_answer(std::move(data)));
      });
}

void ProcessVerbs::events(const Caller&, const Json& request, Answerer answer) {
  auto pid = json_int_or(request, "pid", 1, kMaxPid, 0);
  if (!pid) return answer(bad_request(pid.error()));
  answer(ok_answer(services_.events.list(static_cast<pid_t>(*pid))));
}

void ProcessVerbs::epitaph(const Caller&, const Json& request, Answerer answer) {
  auto pid = json_int(request, "pid", 1, kMaxPid);
  if (!pid) return answer(bad_request(pid.error()));
  auto wait = json_int_or(request, "wait_ms", 0, 60000, 2000);
  if (!wait) return answer(bad_request(wait.error()));
  auto mourner = std::make_unique<Mourner>();
  mourner->pid = static_cast<pid_t>(*pid);
  mourner->answer = std::move(answer);
  bool over = services_.deputies.find(mourner->pid) == nullptr;
  mourner->timer = std::make_unique<Timer>(services_.loop);
  mourner->timer->start(Milliseconds(*wait), [this, pid = mourner->pid] { on_deputy_gone(pid); });
  pid_t gone = mourner->pid;
  mourners_.push_back(std::move(mourner));
  if (over) on_deputy_gone(gone);
}

void ProcessVerbs::on_deputy_gone(pid_t pid) {
  for (size_t i = mourners_.size(); i-- > 0;) {
    if (mourners_[i]->pid != pid) continue;
    std::unique_ptr<Mourner> mourner = std::move(mourners_[i]);
    mourners_.erase(mourners_.begin() + static_cast<ptrdiff_t>(i));
    mourner->answer(ok_answer(services_.events.list(pid)));
  }
}

}  // namespace om::migrator
