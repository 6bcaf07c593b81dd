// SPDX-License-Identifier: Apache-2.0
#include "migrator/control/subjects.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/movable/verdict.h"

namespace om::migrator {

Json bad_request(const Error& error) {
  return failure_answer({ExitCode::kUsage, ReasonCode::kBadRequest, error.text()});
}

bool Subjects::has_deputy(const ProcessId& process) const {
  const auto known = services_.deputies.processes();
  return std::find(known.begin(), known.end(), process) != known.end();
}

void Subjects::look_first(const Caller& caller, const Json& request, std::function<void()> then) {
  auto number = json_int_or(request, "pid", 1, kMaxPid, 0);
  const pid_t pid = number ? static_cast<pid_t>(*number) : 0;
  if (pid == 0) return then();  // about no process, or find() says what is wrong
  const pid_t meant = services_.processes.resolve(pid);
  auto known = ProcessId::of(meant);
  if (!known || has_deputy(*known)) return then();
  services_.census.look(caller.uid, meant,
                        [this, meant, then = std::move(then)](ProcessTable::Membership membership) {
                          looked_ = {meant, membership};
                          then();
                          looked_ = {};
                        });
}

ProcessTable::Membership Subjects::membership(pid_t pid) const {
  return looked_.first == pid ? looked_.second : services_.processes.membership(pid);
}

Json Subjects::nobody(pid_t pid, const Error& why) const {
  if (!is_no_process(why)) return failure_answer({ExitCode::kRefused, internal(why)});
  if (const std::string guest = services_.keepers.guest_from(pid); !guest.empty()) {
    return failure_answer(
        {ExitCode::kNotFound, ReasonCode::kGuest,
         fmt::format("no process of this node has the number {}, but a guest is process {}", pid,
                     guest)});
  }
  return failure_answer({ExitCode::kNotFound, ReasonCode::kNoSuchProcess,
                         fmt::format("there is no process {}", pid)});
}

// For a preloaded process, or a body, whose home is another node; `guest` is its name if it is a guest.
Json Subjects::not_ours(pid_t pid, const std::string& guest, bool owner_only) const {
  const ExitCode exit = owner_only ? ExitCode::kRefused : ExitCode::kNotFound;
  if (!guest.empty()) {
    return failure_answer({exit, ReasonCode::kGuest,
                           fmt::format("process {} is a guest here, process {}", pid, guest)});
  }
  return failure_answer(
      {exit, ReasonCode::kOtherNode,
       fmt::format("process {} belongs to another node than {}", pid, services_.name)});
}

std::optional<Subject> Subjects::find(const Caller& caller, const Json& request, bool owner_only,
                                      const Answerer& answer) const {
  auto no = [&answer](Json why) {
    answer(std::move(why));
    return std::nullopt;
  };
  auto number = json_int(request, "pid", 1, kMaxPid);
  if (!number) return no(bad_request(number.error()));
  const pid_t pid = services_.processes.resolve(static_cast<pid_t>(*number));
  auto process = read_process(pid);
  if (!process) return no(nobody(pid, process.error()));
  if (owner_only && !services_.rights.may_use_process_of(caller, process->uid)) {
    return no(failure_answer({ExitCode::kPermission, ReasonCode::kPermission,
                              fmt::format("process {} belongs to another user", pid)}));
  }
  Subject subject{std::move(*process), true};
  if (has_deputy(subject.process.id)) return subject;
  switch (membership(pid)) {
    case ProcessTable::Membership::kMember:
    case ProcessTable::Membership::kStarting:
      return subject;
    case ProcessTable::Membership::kOtherNode:
      return no(not_ours(pid, services_.keepers.guest_from(pid), owner_only));
    case ProcessTable::Membership::kUnreadable:
      if (::geteuid() != 0 && ::geteuid() != subject.process.uid) {
        return no(failure_answer(
            {ExitCode::kPermission, ReasonCode::kPermission,
             fmt::format("this node's daemon runs as another user than process {}", pid)}));
      }
      subject.readable = false;
      break;
    case ProcessTable::Membership::kNotLoaded:
    case ProcessTable::Membership::kGone:
      if (const std::string guest = services_.keepers.guest_with_body(pid); !guest.empty())
        return no(not_ours(pid, guest, owner_only));
      break;
  }
  subject.member = false;
  return subject;
}

}  // namespace om::migrator
