// SPDX-License-Identifier: Apache-2.0
#include "migrator/moves/move_queue.h"

#include <nlohmann/json.hpp>

#include <utility>

#include "common/base/log.h"
#include "common/movable/verdict.h"

namespace om::migrator {
namespace {

constexpr Milliseconds kRetryPause{100};
constexpr Milliseconds kLookAtDeputy{1000};

std::optional<ReasonCode> code_of(const Json& record) {
  return reason_from_name(json_string_or(record, "code", 64, "").value_or(""));
}

constexpr const char* kDetached =
    "the daemon has been restarted and the deputy has not come back to it";

}  // namespace

struct MoveQueue::Job {
  ProcessId process;
  uid_t uid = 0;  // of the owner, to whom the events are charged
  std::string to;
  Answerer answer;  // empty once the client has been answered
  std::unique_ptr<Timer> timer;
  std::unique_ptr<Timer> retry;  // also for the next check of the deputy
  MonotonicTime started;
  Question question;       // from ask(); empty: a move
  std::string from;        // where the process was when the job's turn came
  bool running = false;    // its turn has come
  bool commanded = false;  // the deputy has been told
  bool waiting = false;    // until the last deputy has ended; on_deputy_gone() restarts it
  int attempts = 0;
};

MoveQueue::MoveQueue(Loop& loop, const Clock& clock, std::string node, ProcessTable& processes,
                     Deputies& deputies, Events& events, Preflight preflight,
                     TargetCheck target_check)
    : loop_(loop),
      clock_(clock),
      node_(std::move(node)),
      processes_(processes),
      deputies_(deputies),
      events_(events),
      preflight_(std::move(preflight)),
      target_check_(std::move(target_check)),
      alive_(std::make_shared<bool>(true)) {}

MoveQueue::~MoveQueue() { *alive_ = false; }

void MoveQueue::request(const ProcessId& process, const std::string& to, Milliseconds limit,
                        Answerer answer) {
  enqueue(process, to, nullptr, limit, std::move(answer));
}

void MoveQueue::ask(const ProcessId& process, Question question, Milliseconds limit,
                    Answerer answer) {
  enqueue(process, deputies_.at(process), std::move(question), limit, std::move(answer));
}

void MoveQueue::enqueue(const ProcessId& process, const std::string& to, Question question,
                        Milliseconds limit, Answerer answer) {
  auto job = std::make_shared<Job>();
  job->process = process;
  job->to = to;
  job->question = std::move(question);
  job->answer = std::move(answer);
  job->from = deputies_.at(process);
  job->started = clock_.now();
  job->timer = std::make_unique<Timer>(loop_);
  job->timer->start(limit, [this, weak = std::weak_ptr<Job>(job)] {
    if (auto late = weak.lock()) expire(late);
  });
  Queue& queue = queues_[process.pid];
  queue.push_back(job);
  if (queue.size() == 1) start(job);
}

Move MoveQueue::describe(const Job& job) const {
  auto elapsed = std::chrono::duration_cast<Milliseconds>(clock_.now() - job.started).count();
  return Move{job.process.pid, job.from, job.to, static_cast<uint64_t>(elapsed)};
}

void MoveQueue::start(const std::shared_ptr<Job>& job) {
  job->running = true;
  ++job->attempts;
  if (job->attempts == 1) job->started = clock_.now();
  pid_t pid = job->process.pid;
  auto process = read_process(pid);
  if (!process && !is_no_process(process.error())) return cannot(job, process.error());
  if (process) job->uid = process->uid;
  if (!process || !(process->id == job->process)) {
    return finish(job, unmoved_record(describe(*job), "failed", ReasonCode::kNoSuchProcess,
                                      "the process has ended"));
  }
  job->from = deputies_.at(job->process);
  if (deputies_.detached(job->process)) {
    // After a restart of the daemon the deputy comes back on its own; we wait for it as long as the client waits.
    if (!job->answer)
      return finish(job,
                    unmoved_record(describe(*job), "failed", ReasonCode::kDeputyLost, kDetached));
    --job->attempts;
    job->retry = std::make_unique<Timer>(loop_);
    return job->retry->start(kRetryPause, [this, weak = std::weak_ptr<Job>(job)] {
      if (auto again = weak.lock()) start(again);
    });
  }
  if (deputies_.ending(job->process)) {
    --job->attempts;
    job->waiting = true;
    return;
  }
  DeputyLink::State state = deputies_.state(job->process);
  if (state == DeputyLink::State::kLost) {
    return finish(job, unmoved_record(describe(*job), "failed", ReasonCode::kDeputyLost,
                                      "its deputy has gone while it was at " + job->from));
  }
  if (job->question) return command(job, *process);
  if (job->from == job->to && state != DeputyLink::State::kMoving) {
    return finish(job, already_there_record(describe(*job)));
  }
  if (job->to != node_) {
    auto refusal = target_check_(job->to);
    if (refusal) return finish(job, unmoved_record(describe(*job), "refused", *refusal));
  }
  const bool native = deputies_.find(pid) == nullptr;
  if (!native && job->to == node_) return command(job, *process);

  // Check before anything is stopped, or is brought home on its way. Off the loop, because it reads a lot of /proc.
  auto reasons = std::make_shared<std::vector<Reason>>();
  run_in_pool(
      loop_, [reasons, pid, native, preflight = preflight_] { *reasons = preflight(pid, native); },
      [this, alive = alive_, job, reasons, process = *process] {
        if (!*alive) return;
        // Its deputy may have started to exit meanwhile.
        if (deputies_.ending(job->process) || deputies_.detached(job->process)) {
          --job->attempts;
          return start(job);
        }
        if (reasons->empty()) return command(job, process);
        finish(job, unmoved_record(describe(*job), "refused", reasons->front()));
      });
}

void MoveQueue::command(const std::shared_ptr<Job>& job, const ProcessInfo& process) {
  if (!job->answer) {
    // Its time ran out before anything was begun.
    return finish(
        job, unmoved_record(describe(*job), "failed", ReasonCode::kTimeout, "not begun in time"));
  }
  deputies_.ensure(process, [this, job](Result<DeputyLink*> deputy) {
    if (!deputy) return cannot(job, deputy.error());
    command_deputy(job, **deputy);
  });
}

void MoveQueue::command_deputy(const std::shared_ptr<Job>& job, DeputyLink& deputy) {
  job->commanded = true;
  watch(job);
  if (job->question) {
    return job->question(
        deputy, [this, job](const Verdict<Json>& report) { finish_question(job, report); });
  }
  auto done = [this, job](const MoveReport& report) {
    finish(job, checked_record(describe(*job), report));
  };
  if (job->to == node_) {
    deputy.come_home(done);
  } else {
    deputy.depart(job->to, done);
  }
}

// Watches for a stopped deputy, for which the client would wait in vain.
void MoveQueue::watch(const std::shared_ptr<Job>& job) {
  job->retry = std::make_unique<Timer>(loop_);
  job->retry->start(kLookAtDeputy, [this, weak = std::weak_ptr<Job>(job)] {
    auto waiting = weak.lock();
    if (!waiting || !waiting->commanded || !waiting->answer) return;
    const auto deputy = deputies_.stopped_deputy(waiting->process);
    if (!deputy) return watch(waiting);
    give_up(waiting, fmt::format("its deputy, process {}, is stopped; this goes on once it is "
                                 "continued (kill -CONT {})",
                                 *deputy, *deputy));
  });
}

// Something in this daemon failed before anything was begun.
void MoveQueue::cannot(const std::shared_ptr<Job>& job, const Error& error) {
  const Reason reason = internal(error);
  const bool ours = reason.code == ReasonCode::kInternal;
  finish(job, unmoved_record(describe(*job), ours ? "failed" : "refused", reason));
}

void MoveQueue::finish(const std::shared_ptr<Job>& job, const Json& record) {
  if (!has_code(record, ReasonCode::kAlreadyThere) && !job->question) {
    std::string message = record["message"];
    if (record["result"] == "moved") {
      // In the format of om migrate.
      message = fmt::format("{} -> {} in {:.0f} ms, frozen {:.1f} ms", job->from, job->to,
                            record["total_ms"].get<double>(), record["freeze_ms"].get<double>());
    }
    events_.add({record["result"], job->process.pid, job->to, code_of(record), message,
                 user_owner(job->uid)});
  }
  finish_with(job, answer_of(record));
}

void MoveQueue::finish_question(const std::shared_ptr<Job>& job, const Verdict<Json>& report) {
  if (!report) return finish(job, unmoved_record(describe(*job), "refused", report.error()));
  finish_with(job, ok_answer(*report));
}

void MoveQueue::finish_with(const std::shared_ptr<Job>& job, Json answer) {
  if (job->answer) std::exchange(job->answer, nullptr)(std::move(answer));
  job->timer.reset();
  job->retry.reset();
  pid_t pid = job->process.pid;
  Queue& queue = queues_.at(pid);
  queue.pop_front();
  if (queue.empty()) {
    queues_.erase(pid);
  } else {
    start(std::shared_ptr<Job>(queue.front()));
  }
}

// Answers the client; a command already given to the deputy continues.
void MoveQueue::give_up(const std::shared_ptr<Job>& job, const std::string& message) {
  if (!job->question)
    events_.add({"late", job->process.pid, job->to, ReasonCode::kTimeout, message});
  Json record = unmoved_record(describe(*job), "failed", ReasonCode::kTimeout, message);
  std::exchange(job->answer, nullptr)(answer_of(record));
}

void MoveQueue::expire(const std::shared_ptr<Job>& job) {
  if (!job->answer) return;
  give_up(job, job->running ? "the migration is not finished yet and goes on; see om where"
                            : "an earlier migration of this process is not finished yet");
  if (job->running) return;  // it stays first in its queue until the deputy is done with it
  Queue& queue = queues_.at(job->process.pid);
  std::erase(queue, job);
}

void MoveQueue::on_deputy_gone(pid_t pid, bool clean) {
  auto it = queues_.find(pid);
  if (it == queues_.end()) return;
  std::shared_ptr<Job> job = it->second.front();
  if (std::exchange(job->waiting, false)) return start(job);
  if (!job->commanded) return;
  job->commanded = false;
  // A deputy that has just brought its process home exits, and the next command may have come too late for it.
  if (clean && job->attempts < 3 && job->process.alive()) return start(job);
  bool ended = !job->process.alive();
  finish(job,
         unmoved_record(describe(*job), "failed",
                        ended ? ReasonCode::kNoSuchProcess : ReasonCode::kDeputyLost,
                        ended ? "the process has ended" : "the deputy ended without a result"));
}

}  // namespace om::migrator
