// SPDX-License-Identifier: Apache-2.0
//
// Carries out `om migrate`: one job at a time per process, later ones wait in order. A job finds out where the process
// is, checks at home what can be checked without stopping it, gets a deputy for it, and lets the deputy do the work.
// The user's time limit ends only the wait: whatever happens, the process runs on.
#pragma once

#include <sys/types.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/uv/loop.h"
#include "migrator/moves/deputies.h"
#include "migrator/moves/move_record.h"
#include "migrator/peers/admission.h"
#include "migrator/processes/events.h"
#include "migrator/processes/process_table.h"

namespace om::migrator {

class MoveQueue {
 public:
  // What prevents moving a process to another node; called on a thread of the pool. native: it is at home and has no
  // deputy, which would check itself.
  using Preflight = std::function<std::vector<Reason>(pid_t, bool native)>;
  // Why the node cannot be a target at the moment, or nullopt.
  using TargetCheck = std::function<std::optional<Reason>(const std::string& node)>;
  using Answerer = std::function<void(Json)>;

  MoveQueue(Loop& loop, const Clock& clock, std::string node, ProcessTable& processes,
            Deputies& deputies, Events& events, Preflight preflight, TargetCheck target_check);
  ~MoveQueue();

  // Another request that only the deputy can answer (om stack); waits its turn among the moves. Passes on the deputy's
  // report.
  using Question = std::function<void(DeputyLink&, DeputyLink::LookDone)>;
  void ask(const ProcessId& process, Question question, Milliseconds limit, Answerer answer);

  // `to` is this node's name or a peer's. Answered exactly once, at the latest after `limit`.
  void request(const ProcessId& process, const std::string& to, Milliseconds limit,
               Answerer answer);

  // Called by Deputies: this process no longer has a deputy.
  void on_deputy_gone(pid_t pid, bool clean);

  bool busy(pid_t pid) const { return queues_.count(pid) != 0; }

 private:
  struct Job;
  using Queue = std::deque<std::shared_ptr<Job>>;

  void enqueue(const ProcessId& process, const std::string& to, Question question,
               Milliseconds limit, Answerer answer);
  void start(const std::shared_ptr<Job>& job);
  void command(const std::shared_ptr<Job>& job, const ProcessInfo& process);
  void command_deputy(const std::shared_ptr<Job>& job, DeputyLink& deputy);
  void cannot(const std::shared_ptr<Job>& job, const Error& error);
  void finish(const std::shared_ptr<Job>& job, const Json& record);
  void finish_question(const std::shared_ptr<Job>& job, const Verdict<Json>& report);
  void finish_with(const std::shared_ptr<Job>& job, Json answer);
  void watch(const std::shared_ptr<Job>& job);
  void give_up(const std::shared_ptr<Job>& job, const std::string& message);
  void expire(const std::shared_ptr<Job>& job);
  Move describe(const Job& job) const;

  Loop& loop_;
  const Clock& clock_;
  std::string node_;
  ProcessTable& processes_;
  Deputies& deputies_;
  Events& events_;
  Preflight preflight_;
  TargetCheck target_check_;
  std::map<pid_t, Queue> queues_;  // the first of each is running
  std::shared_ptr<bool> alive_;    // for what comes back from the pool
};

}  // namespace om::migrator
