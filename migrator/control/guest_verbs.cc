// SPDX-License-Identifier: Apache-2.0
#include "migrator/control/guest_verbs.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <utility>

#include "migrator/control/recall.h"
#include "migrator/moves/guest_bodies.h"

namespace om::migrator {
namespace {

constexpr Milliseconds kLook{50};
constexpr Milliseconds kAskAgain{1000};  // keepers that were just being started
constexpr size_t kMostUnderWay = 16;

}  // namespace

Json GuestVerbs::describe(const Caller& caller, const Keepers::Guest& guest) const {
  const ProcessInfo seen = body_of(guest.keeper.pid).value_or(ProcessInfo());
  const auto now = services_.clock.wall().time_since_epoch();
  const auto since = std::chrono::duration_cast<std::chrono::seconds>(
      now - std::chrono::milliseconds(seen.age_ms));
  return {{"pid", seen.id.pid},
          {"home", guest.home},
          {"home_pid", guest.at_home},
          {"uid", guest.uid},
          {"command", services_.rights.sees_commands_of(caller, guest.uid) ? seen.command : ""},
          {"threads", seen.threads},
          {"rss_bytes", seen.rss_bytes},
          {"cpu_s", static_cast<double>(seen.cpu_ms) / 1000},
          {"since", since.count()}};
}

void GuestVerbs::list(const Caller& caller, const Json&, Answerer answer) {
  Json all = Json::array();
  for (const Keepers::Guest& guest : services_.keepers.guests())
    all.push_back(describe(caller, guest));
  answer(ok_answer(std::move(all)));
}

void GuestVerbs::expel(const Caller& caller, const Json& request, Answerer answer) {
  const auto limit = json_int_or(request, "timeout_ms", 1, kMaxLimitMs, 60000);
  if (!limit) return answer(bad_request(limit.error()));
  const auto wanted = json_int_or(request, "guest", 1, kMaxPid, 0);
  if (!wanted) return answer(bad_request(wanted.error()));
  if (under_way_.size() >= kMostUnderWay)
    return answer(failure_answer({ExitCode::kFailure, "guests are being sent home already"}));
  std::vector<Keepers::Guest> guests = services_.keepers.guests();
  if (*wanted != 0) {
    std::erase_if(guests, [wanted = *wanted](const Keepers::Guest& guest) {
      const auto body = body_of(guest.keeper.pid);
      return !body || body->id.pid != wanted;
    });
    if (guests.empty()) {
      return answer(failure_answer({ExitCode::kNotFound, ReasonCode::kNoSuchProcess,
                                    fmt::format("there is no guest {} here", *wanted)}));
    }
  }
  const auto at = under_way_.emplace(under_way_.end(), services_.loop);
  at->deadline = services_.clock.now() + Milliseconds(*limit);
  at->guests = std::move(guests);
  at->answer = std::move(answer);
  at->timer.start_repeating(kLook, [this, at, caller] { look(at, caller); });
}

void GuestVerbs::look(std::list<Expulsion>::iterator at, const Caller& caller) {
  const MonotonicTime now = services_.clock.now();
  const size_t before = at->guests.size();
  std::erase_if(at->guests, [](const Keepers::Guest& guest) {
    return guest.keeper.pid != 0 && !guest.keeper.alive();
  });
  at->gone += before - at->guests.size();
  if (!at->guests.empty() && now < at->deadline) {
    if (now - at->asked < kAskAgain) return;
    at->asked = now;
    // One that was being started may have its number by now.
    const std::vector<Keepers::Guest> known = services_.keepers.guests();
    for (Keepers::Guest& guest : at->guests) {
      for (const Keepers::Guest& same : known) {
        if (guest.keeper.pid == 0 && same.home == guest.home && same.at_home == guest.at_home)
          guest.keeper = same.keeper;
      }
      Keepers::send_home(guest.keeper);
    }
    return;
  }
  Json result{{"gone", at->gone}, {"left", Json::array()}};
  for (const Keepers::Guest& guest : at->guests) result["left"].push_back(describe(caller, guest));
  const Answerer answer = std::move(at->answer);
  const bool all = at->guests.empty();
  under_way_.erase(at);
  answer(all ? ok_answer(std::move(result))
             : failure_answer({ExitCode::kSomeLeft, "not all went home"}, std::move(result)));
}

void GuestVerbs::bring(const Caller& caller, const Json& request, Answerer answer) {
  const auto limit = json_int_or(request, "timeout_ms", 1, kMaxLimitMs, 60000);
  if (!limit) return answer(bad_request(limit.error()));
  recall(
      services_, Milliseconds(*limit),
      [this, caller](const ProcessId& id) {
        const auto process = read_process(id.pid);
        return process && services_.rights.may_use_process_of(caller, process->uid);
      },
      [answer = std::move(answer)](Json outcome) {
        const bool all = outcome["failed"].empty();
        answer(
            all ? ok_answer(std::move(outcome))
                : failure_answer({ExitCode::kSomeLeft, "not all came home"}, std::move(outcome)));
      });
}

}  // namespace om::migrator
