// SPDX-License-Identifier: Apache-2.0
#include "migrator/control/verbs.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "common/base/log.h"
#include "common/base/names.h"
#include "common/base/version.h"
#include "common/movable/verdict.h"

namespace om::migrator {
namespace {

constexpr int64_t kMaxPid = 1 << 22;
constexpr int64_t kMaxLimitMs = 24 * 3600 * 1000;
constexpr Milliseconds kDebugLimit{10000};
constexpr std::chrono::seconds kSilence{3};  // of a deputy that reports every second

Json failure(ExitCode exit, ReasonCode code, std::string message) {
  return failure_answer({exit, code, std::move(message)});
}

Json bad_request(const Error& error) {
  return failure(ExitCode::kUsage, ReasonCode::kBadRequest, error.text());
}

}  // namespace

void Verbs::handle(const Caller& caller, const Json& request, Answerer answer) {
  static const std::map<std::string, Method, std::less<>> kMethods{
      {"version", &Verbs::version},
      {"migrate", &Verbs::migrate},
      {"stack", &Verbs::stack},
      {"trace", &Verbs::trace},
      {"ps", &Verbs::ps},
      {"where", &Verbs::where},
      {"why", &Verbs::why},
      {"nodes", &Verbs::nodes},
      {"events", &Verbs::events},
      {"epitaph", &Verbs::epitaph},
      {"peers.reload", &Verbs::reload_peers},
      {"peers.set", &Verbs::set_peers},
      {"recall", &Verbs::recall},
      {"debug", &Verbs::debug},
      {"deputy.attach", &Verbs::refuse_attach},
  };
  auto verb = json_string(request, "verb", 32);
  if (!verb) return answer(bad_request(verb.error()));
  auto it = kMethods.find(*verb);
  if (it == kMethods.end())
    return answer(bad_request(plain_error("unknown verb " + escaped(*verb, 40))));
  const Method method = it->second;
  const auto pid = json_int_or(request, "pid", 1, kMaxPid, 0);
  if (!pid || *pid == 0) return (this->*method)(caller, request, std::move(answer));
  newcomers_.wait(
      [this, number = static_cast<pid_t>(*pid)] { return node_.processes_.resolve(number); },
      method == &Verbs::migrate,
      [this, method, caller, request, answer = std::move(answer)] {
        // These two only look at what has been written down.
        if (method == &Verbs::events || method == &Verbs::epitaph)
          return (this->*method)(caller, request, answer);
        look_first(caller, request, [this, method, caller, request, answer] {
          (this->*method)(caller, request, answer);
        });
      });
}

// Whether a process is one of ours takes a look at its address space, which may be large: off the loop, before the
// verb's function runs.
void Verbs::look_first(const Caller& caller, const Json& request, std::function<void()> then) {
  auto number = json_int_or(request, "pid", 1, kMaxPid, 0);
  const pid_t pid = number ? static_cast<pid_t>(*number) : 0;
  if (pid == 0) return then();  // about none, or the function says what is wrong
  const pid_t meant = node_.processes_.resolve(pid);
  auto known = ProcessId::of(meant);
  const auto with_deputy = node_.deputies_.processes();
  if (!known || std::find(with_deputy.begin(), with_deputy.end(), *known) != with_deputy.end())
    return then();
  node_.census_.look(caller.uid, meant,
                     [this, meant, then = std::move(then)](ProcessTable::Membership membership) {
                       looked_ = {meant, membership};
                       then();
                       looked_ = {};
                     });
}

ProcessTable::Membership Verbs::membership(pid_t pid) const {
  return looked_.first == pid ? looked_.second : node_.processes_.membership(pid);
}

std::optional<Verbs::Subject> Verbs::subject(const Caller& caller, const Json& request,
                                             bool owner_only, const Answerer& answer) {
  auto number = json_int(request, "pid", 1, kMaxPid);
  if (!number) {
    answer(bad_request(number.error()));
    return std::nullopt;
  }
  pid_t pid = node_.processes_.resolve(static_cast<pid_t>(*number));
  auto process = read_process(pid);
  if (!process && is_no_process(process.error())) {
    if (const std::string guest = node_.keepers_.guest_from(pid); !guest.empty()) {
      answer(failure(
          ExitCode::kNotFound, ReasonCode::kGuest,
          fmt::format("no process of this node has the number {}, but a guest is process {}", pid,
                      guest)));
      return std::nullopt;
    }
    answer(failure(ExitCode::kNotFound, ReasonCode::kNoSuchProcess,
                   fmt::format("there is no process {}", pid)));
    return std::nullopt;
  }
  if (!process) {
    answer(failure_answer({ExitCode::kRefused, internal(process.error())}));
    return std::nullopt;
  }
  if (owner_only && caller.uid != 0 && caller.uid != process->uid) {
    answer(failure(ExitCode::kPermission, ReasonCode::kPermission,
                   fmt::format("process {} belongs to another user", pid)));
    return std::nullopt;
  }
  Subject subject{std::move(*process), true};
  auto known = node_.deputies_.processes();
  if (std::find(known.begin(), known.end(), subject.process.id) != known.end()) return subject;
  switch (membership(pid)) {
    case ProcessTable::Membership::kMember:
    case ProcessTable::Membership::kStarting:
      return subject;
    case ProcessTable::Membership::kOtherNode:
      answer(not_ours(pid, node_.keepers_.guest_from(pid), owner_only));
      return std::nullopt;
    case ProcessTable::Membership::kUnreadable:
      if (::geteuid() != 0 && ::geteuid() != subject.process.uid) {
        answer(
            failure(ExitCode::kPermission, ReasonCode::kPermission,
                    fmt::format("this node's daemon runs as another user than process {}", pid)));
        return std::nullopt;
      }
      subject.readable = false;
      break;
    case ProcessTable::Membership::kNotLoaded:
    case ProcessTable::Membership::kGone:
      if (const std::string guest = node_.keepers_.guest_with_body(pid); !guest.empty()) {
        answer(not_ours(pid, guest, owner_only));
        return std::nullopt;
      }
      break;
  }
  subject.member = false;
  return subject;
}

// A process that is preloaded, or a body, but has another home than this node; as a guest it has a name.
Json Verbs::not_ours(pid_t pid, const std::string& guest, bool owner_only) const {
  const ExitCode exit = owner_only ? ExitCode::kRefused : ExitCode::kNotFound;
  if (!guest.empty())
    return failure(exit, ReasonCode::kGuest,
                   fmt::format("process {} is a guest here, process {}", pid, guest));
  return failure(
      exit, ReasonCode::kOtherNode,
      fmt::format("process {} belongs to another node than {}", pid, node_.options_.name));
}

bool Verbs::admin(const Caller& caller, const Answerer& answer) const {
  if (caller.uid == 0 || caller.uid == ::geteuid()) return true;
  answer(failure(ExitCode::kPermission, ReasonCode::kPermission,
                 "only for root and the daemon's own user"));
  return false;
}

void Verbs::version(const Caller&, const Json&, Answerer answer) {
  Json data = node_.ready_line();
  data["version"] = build_version();
  data["protocol"] = fmt::format("{}.{}", kProtocolMajor, kProtocolMinor);
  data["keeper_gate_abi"] = kKeeperGateAbi;
  answer(ok_answer(std::move(data)));
}

void Verbs::migrate(const Caller& caller, const Json& request, Answerer answer) {
  auto to = json_string(request, "to", kMaxNodeName);
  if (!to) return answer(bad_request(to.error()));
  auto limit = json_int_or(request, "timeout_ms", 1, kMaxLimitMs, 60000);
  if (!limit) return answer(bad_request(limit.error()));
  auto about = subject(caller, request, true, answer);
  if (!about) return;
  std::string target = *to == "home" ? node_.options_.name : *to;
  if (target != node_.options_.name && node_.peers_.find(target) == nullptr) {
    return answer(failure(ExitCode::kNotFound, ReasonCode::kNoSuchNode,
                          "there is no node " + escaped(target, 80)));
  }
  if (!about->member && target == node_.options_.name) {
    return answer(failure_answer({ExitCode::kRefused, Reason{ReasonCode::kNotPreloaded, ""}}));
  }
  // To anywhere else a process that is not preloaded goes on to the preflight, which knows the exact reason.
  node_.moves_.request(about->process.id, target, Milliseconds(*limit), std::move(answer));
}

void Verbs::stack(const Caller& caller, const Json& request, Answerer answer) {
  auto limit = json_int_or(request, "timeout_ms", 1, kMaxLimitMs, 30000);
  if (!limit) return answer(bad_request(limit.error()));
  auto about = subject(caller, request, true, answer);
  if (!about) return;
  if (!about->member) {
    return answer(failure_answer({ExitCode::kRefused, Reason{ReasonCode::kNotPreloaded, ""}}));
  }
  node_.moves_.ask(about->process.id, {{"verb", "stack"}}, Milliseconds(*limit), std::move(answer));
}

void Verbs::trace(const Caller& caller, const Json& request, Answerer answer) {
  auto cursor = json_int_or(request, "cursor", 0, INT64_MAX, 0);
  if (!cursor) return answer(bad_request(cursor.error()));
  auto about = subject(caller, request, true, answer);
  if (!about) return;
  const ProcessId& id = about->process.id;
  if (!about->member) {
    return answer(failure_answer({ExitCode::kRefused, Reason{ReasonCode::kNotPreloaded, ""}}));
  }
  // Nothing is forwarded at home, and nobody is there to be asked.
  if (node_.deputies_.find(id.pid) == nullptr) {
    return answer(ok_answer({{"pid", id.pid},
                             {"at", node_.deputies_.at(id)},
                             {"next", 0},
                             {"session", 0},
                             {"lost", 0},
                             {"records", Json::array()},
                             {"counts", Json::array()}}));
  }
  node_.moves_.ask(id, {{"verb", "trace"}, {"cursor", *cursor}}, Milliseconds(30000),
                   std::move(answer));
}

Json Verbs::describe(const ProcessInfo& process) const {
  const ProcessId& id = process.id;
  DeputyLink::State state = node_.deputies_.state(id);
  Json item{{"pid", id.pid},
            {"home", node_.options_.name},
            {"at", node_.deputies_.at(id)},
            {"threads", process.threads},
            {"rss_bytes", process.rss_bytes},
            {"cpu_percent", node_.processes_.cpu_percent(process)},
            {"state", state_name(state)},
            {"command", process.command}};
  auto stats = node_.deputies_.stats(id);
  if (state == DeputyLink::State::kAway && stats) {
    if (stats->rss_bytes != 0) item["rss_bytes"] = stats->rss_bytes;
    if (stats->threads != 0) item["threads"] = stats->threads;
    item["cpu_percent"] = stats->cpu_percent;
  }
  const auto silence =
      std::chrono::duration_cast<std::chrono::seconds>(node_.deputies_.silence(id));
  if (silence > kSilence) item["unreachable_s"] = silence.count();
  item["cpu_percent"] = std::round(item["cpu_percent"].get<double>() * 10) / 10;
  return item;
}

void Verbs::ps(const Caller&, const Json&, Answerer answer) {
  node_.deputies_.prune();
  node_.census_.scan([this, answer](const std::vector<ProcessInfo>& found) {
    node_.processes_.note(found);
    Json list = Json::array();
    for (const ProcessInfo& process : found) list.push_back(describe(process));
    answer(ok_answer(std::move(list)));
  });
}

void Verbs::where(const Caller& caller, const Json& request, Answerer answer) {
  auto about = subject(caller, request, false, answer);
  if (!about) return;
  pid_t pid = about->process.id.pid;
  if (!about->readable) {
    return answer(failure_answer({ExitCode::kFailure, Reason{ReasonCode::kNotDumpable, ""}}));
  }
  if (!about->member) {
    return answer(failure(
        ExitCode::kNotFound, ReasonCode::kNotPreloaded,
        fmt::format("process {} is not one of openMosix: libom.so is not loaded in it", pid)));
  }
  const ProcessId& id = about->process.id;
  answer(ok_answer({{"pid", pid},
                    {"home", node_.options_.name},
                    {"at", node_.deputies_.at(id)},
                    {"state", state_name(node_.deputies_.state(id))}}));
}

void Verbs::why(const Caller& caller, const Json& request, Answerer answer) {
  auto about = subject(caller, request, false, answer);
  if (!about) return;
  Json data = describe(about->process);
  data["member"] = about->member;
  data["events"] = node_.events_.list(about->process.id.pid);
  // What the caller cannot find out: how this node is configured.
  node_.look_at_privileges(
      about->process.id.pid, [data = std::move(data), answer = std::move(answer)](
                                 const std::optional<Reason>& kept) mutable {
        if (kept) data["kept"] = {{"code", kept->name()}, {"message", kept->message()}};
        answer(ok_answer(std::move(data)));
      });
}

void Verbs::nodes(const Caller&, const Json&, Answerer answer) {
  auto item = [](const NodeFacts& facts, const std::string& address) {
    return Json{{"name", facts.name},
                {"address", address},
                {"cpus", facts.cpus},
                {"load", facts.load_centis / 100.0},
                {"memory_bytes", facts.memory_bytes},
                {"free_bytes", facts.free_bytes},
                {"guests", facts.guests},
                {"kernel", facts.kernel},
                {"version", facts.build}};
  };
  Json list = Json::array();
  Json own = item(node_.facts(), node_.options_.listen.text());
  own.update({{"state", "up"}, {"self", true}, {"reason", ""}, {"rtt_us", 0}});
  list.push_back(std::move(own));
  for (const PeerLink* link : node_.peers_.all()) {
    NodeFacts facts = link->facts().value_or(NodeFacts{});
    facts.name = link->peer().name;
    Json entry = item(facts, link->peer().address.text());
    entry.update({{"state", link->up() ? "up" : "down"},
                  {"self", false},
                  {"reason", link->reason()},
                  {"rtt_us", link->rtt_us()}});
    list.push_back(std::move(entry));
  }
  answer(ok_answer(std::move(list)));
}

void Verbs::events(const Caller&, const Json& request, Answerer answer) {
  auto pid = json_int_or(request, "pid", 1, kMaxPid, 0);
  if (!pid) return answer(bad_request(pid.error()));
  answer(ok_answer(node_.events_.list(static_cast<pid_t>(*pid))));
}

void Verbs::epitaph(const Caller&, const Json& request, Answerer answer) {
  auto pid = json_int(request, "pid", 1, kMaxPid);
  if (!pid) return answer(bad_request(pid.error()));
  auto wait = json_int_or(request, "wait_ms", 0, 60000, 2000);
  if (!wait) return answer(bad_request(wait.error()));
  auto mourner = std::make_unique<Mourner>();
  mourner->pid = static_cast<pid_t>(*pid);
  mourner->answer = std::move(answer);
  bool over = node_.deputies_.find(mourner->pid) == nullptr;
  mourner->timer = std::make_unique<Timer>(node_.loop_);
  mourner->timer->start(Milliseconds(*wait), [this, pid = mourner->pid] { on_deputy_gone(pid); });
  pid_t gone = mourner->pid;
  mourners_.push_back(std::move(mourner));
  if (over) on_deputy_gone(gone);
}

void Verbs::on_deputy_gone(pid_t pid) {
  for (size_t i = mourners_.size(); i-- > 0;) {
    if (mourners_[i]->pid != pid) continue;
    std::unique_ptr<Mourner> mourner = std::move(mourners_[i]);
    mourners_.erase(mourners_.begin() + static_cast<ptrdiff_t>(i));
    mourner->answer(ok_answer(node_.events_.list(pid)));
  }
}

void Verbs::reload_peers(const Caller& caller, const Json&, Answerer answer) {
  if (!admin(caller, answer)) return;
  auto reloaded = node_.reload_peers();
  if (!reloaded)
    return answer(failure(ExitCode::kFailure, ReasonCode::kBadPeers, reloaded.error().text()));
  answer(ok_answer(nullptr));
}

void Verbs::set_peers(const Caller& caller, const Json& request, Answerer answer) {
  if (!admin(caller, answer)) return;
  auto list = request.find("peers");
  auto peers = peers_from_json(list == request.end() ? Json() : *list, node_.options_.name);
  if (!peers) return answer(bad_request(peers.error()));
  node_.peers_.set(*peers);
  answer(ok_answer(nullptr));
}

void Verbs::recall(const Caller& caller, const Json& request, Answerer answer) {
  if (!admin(caller, answer)) return;
  auto limit = json_int_or(request, "timeout_ms", 1, kMaxLimitMs, 60000);
  if (!limit) return answer(bad_request(limit.error()));
  struct Tally {
    size_t open = 1;  // one for this function
    size_t home = 0;
    Json failed = Json::array();
    Answerer answer;
    void done() {
      if (--open == 0) answer(ok_answer({{"home", home}, {"failed", failed}}));
    }
  };
  auto tally = std::make_shared<Tally>();
  tally->answer = std::move(answer);
  for (const ProcessId& id : node_.deputies_.processes()) {
    if (node_.deputies_.find(id.pid) == nullptr) continue;
    ++tally->open;
    node_.moves_.request(
        id, node_.options_.name, Milliseconds(*limit), [tally, pid = id.pid](Json result) {
          if (result["ok"] == true) {
            ++tally->home;
          } else {
            tally->failed.push_back(
                {{"pid", pid}, {"code", result["code"]}, {"message", result["message"]}});
          }
          tally->done();
        });
  }
  tally->done();
}

void Verbs::debug(const Caller& caller, const Json& request, Answerer answer) {
  auto what = json_string(request, "what", 64);
  if (!what) return answer(bad_request(what.error()));
  auto about = subject(caller, request, true, answer);
  if (!about) return;
  pid_t pid = about->process.id.pid;
  DeputyLink* link = node_.deputies_.find(pid);
  if (link == nullptr) {
    return answer(failure(ExitCode::kNotFound, ReasonCode::kNoDeputy,
                          fmt::format("process {} has no deputy", pid)));
  }
  // Whichever comes first answers: the deputy or the clock.
  int64_t id = ++last_debug_id_;
  auto& timer = debug_timers_[id] = std::make_unique<Timer>(node_.loop_);
  timer->start(kDebugLimit, [this, pid, id, answer] {
    if (DeputyLink* late = node_.deputies_.find(pid)) late->forget(id);
    debug_timers_.erase(id);
    answer(failure(ExitCode::kTimeout, ReasonCode::kTimeout, "the deputy did not answer"));
  });
  link->command({{"verb", "debug"}, {"what", *what}}, id, [this, id, answer](const Json& data) {
    debug_timers_.erase(id);
    answer(ok_answer(data));
  });
}

bool Verbs::adopt(const Caller& caller, const Json& request, std::unique_ptr<JsonStream>& stream) {
  if (json_string_or(request, "verb", 32, "").value_or("") != "deputy.attach") return false;
  auto pid = json_int(request, "pid", 1, kMaxPid);
  auto process = pid ? read_process(static_cast<pid_t>(*pid)) : Result<ProcessInfo>(pid.error());
  if (!process || (caller.uid != 0 && caller.uid != process->uid)) return false;
  const std::string secret = json_string_or(request, "secret", 64, "").value_or("");
  if (!node_.deputies_.adopt(*process, caller.pid, secret, stream)) return false;
  node_.deputies_.find(process->id.pid)->send(ok_answer(nullptr));
  return true;
}

// What adopt() would not take ends up here.
void Verbs::refuse_attach(const Caller&, const Json&, Answerer answer) {
  answer(failure(ExitCode::kFailure, ReasonCode::kNotAttached,
                 "no deputy of this node, or its process has another one already"));
}

}  // namespace om::migrator
