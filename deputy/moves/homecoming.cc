// SPDX-License-Identifier: Apache-2.0
//
// The way home, and the rollback of a departure, which ends the same way. Every thread leaves libom: one that
// computes gets its registers, one whose call is finished gets the result, one whose call still blocks gets
// the call itself back (the kernel restarts it at the program's own instruction). Afterwards nothing of ours
// is active in the process.
//
// Until restore_threads() has decided (kHomeReturning) a failure means: the body goes on. Should this process die
// before, the executors go on, too, by their frames, and another deputy takes the process over (takeover.cc);
// after it, that one completes the return from what is in the slots. Nothing behind the decision
// depends on how long it takes: threads that do not stop are waited for as long as they live.
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <kj/common.h>

#include <algorithm>
#include <thread>

#include "common/base/log.h"
#include "common/proc/process.h"
#include "common/proc/stat.h"
#include "deputy/base/host.h"
#include "deputy/base/text.h"
#include "deputy/home/received.h"
#include "deputy/memory/restore.h"
#include "deputy/mover.h"
#include "gen/syscalls_desc.h"
#include "libom/abi/home.h"
#include "libom/abi/thread.h"

namespace om::deputy {

namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kKeeperAnswers = 30 * kj::SECONDS;
constexpr auto kCallsArrive = std::chrono::seconds(2);

}  // namespace

MoveRecord Mover::come_home() {
  MoveRecord record;
  record.pid = home_.pid;
  record.from = at_;
  record.to = home_node_;
  const auto start = Clock::now();
  around_.state(at_, "moving");
  Step done = Done{};
  KJ_IF_MAYBE (exception, kj::runCatchingExceptions([&] { done = come_home_steps(record); })) {
    done = broken(*exception, ReasonCode::kOutOfReach);
    // If it was the connection: when the keeper is back it is told to let the body go on (watch.cc).
    session_.renew_bulk();
    KJ_IF_MAYBE (keeper, session_.keeper()) {
      if (watch_) watch_->tasks().add(keeper->resumeRequest().send().ignoreResult());
    }
  }
  if (!done.ok() && has_ended(home_.pid)) done = refuse(ReasonCode::kNoSuchProcess, "it has ended");
  record.conclude(done, Clock::now() - start);
  if (done.ok()) at_ = home_node_;
  around_.state(at_, !done.ok() && away_ ? "away" : "home");
  return record;
}

Step Mover::come_home_steps(MoveRecord& record) {
  if (!away_) return refuse(ReasonCode::kAlreadyThere, "{}", home_node_);
  OM_STEP(wait_for_keeper());
  OM_STEP(fault("return.begin"));
  KJ_IF_MAYBE (present, session_.keeper()) {
    schema::Keeper::Client held = *present;  // keeper_ changes when the session is lost
    const auto frozen = Clock::now();
    auto body = session_.stop_body(held, false);
    auto resume_body = [&] { session_.resume_body(held); };
    Step step = check(body.getVerdict());
    if (!step) {
      resume_body();
      return step.reason();
    }
    auto state = body.getState();
    record.threads = state.getThreads().size();

    auto returning = read_body(state);
    step = returning ? wait_for_calls(returning->states) : Step(returning.reason());
    if (!step) {
      resume_body();
      return step.reason();
    }
    const uint32_t hold = 1;
    const uint32_t session = session_.count();
    (void)home_.target->put_home_field(offsetof(HomeState, hold), hold);
    step = fault("return.hold");
    auto stopped = step.ok() ? stop_executors(home_) : Verdict<StoppedProcess>(step.reason());
    if (!stopped) {
      let_executors_answer(home_);
      resume_body();
      return stopped.reason();
    }
    StoppedProcess& stop = *stopped;
    KJ_DEFER(let_executors_answer(home_));  // before the threads run on, also after an exception
    step = fault("return.stop");
    if (step.ok()) step = settle_executors(home_, stop);
    if (step.ok()) step = fault("return.settled");
    if (step.ok()) step = restore_memory_around(stop, state, record);
    // Another session meanwhile: the body has been told to go on.
    if (step.ok() && (!session_.has_keeper() || session != session_.count()))
      step = refuse(ReasonCode::kOutOfReach, "{}", at_);
    if (!step) {
      let_executors_answer(home_);
      stop.release();
      resume_body();
      return step.reason();
    }
    // Home's clock must have reached what the body has shown.
    const int64_t shown = state.getMonoNs(), now = static_cast<int64_t>(now_ns(CLOCK_MONOTONIC));
    if (shown > now && shown - now < 1000000000)
      std::this_thread::sleep_for(std::chrono::nanoseconds(shown - now));
    step = restore_threads(home_, stop, returning->states, returning->xsaves, state.getCpuNs(),
                           around_.note);
    if (!step) {
      let_executors_answer(home_);
      stop.release();
      resume_body();
      return step.reason();
    }
    record.freeze_ms = std::chrono::duration<double, std::milli>(Clock::now() - frozen).count();
  }
  away_ = false;
  disconnect();
  finished_ = true;
  return Done{};
}

// What the keeper says of the threads, checked.
Verdict<ReturningThreads> Mover::read_body(schema::BodyImage::Reader body) {
  OM_STEP(fault("return.calls"));
  home_.state = OM_MUST(home_.target->home());
  return read_threads(body, OM_MUST(local_layout()),
                      std::min(home_.state.slots_ready, home_.state.nslots));
}

// Every Call that the body has sent must have reached home; it is then executing, or executed.
Step Mover::wait_for_calls(const std::vector<ThreadState>& states) {
  const Deadline deadline = Clock::now() + kCallsArrive;
  for (const ThreadState& s : states) {
    for (;;) {
      const HomeThread h = OM_MUST(home_.target->thread(home_.arena, s.slot));
      if (h.state != kSlotUsed)
        return refuse(ReasonCode::kInternal, "thread slot {} has no twin at home", s.slot);
      if (h.seq_started >= s.seq) break;
      if (Clock::now() > deadline)
        return refuse(ReasonCode::kOutOfReach, "a call of thread {} is still on its way", h.tid);
      io_.provider->getTimer().afterDelay(1 * kj::MILLISECONDS).wait(io_.waitScope);
    }
  }
  return Done{};
}

// Without what calls of before the departure have received at home since.
Step Mover::restore_memory_around(StoppedProcess& stop, schema::BodyImage::Reader body,
                                  MoveRecord& record) {
  Received received;
  for (auto& t : stop.threads())
    received.take(*home_.target, OM_MUST(home_.target->thread(home_.arena, home_.slot_of(t))));
  KJ_DEFER(received.put(*home_.target));  // also if the process does not come home
  return restore_memory(stop, body, record);
}

Step Mover::restore_memory(StoppedProcess& stop, schema::BodyImage::Reader body,
                           MoveRecord& record) {
  OM_STEP(guard_executors(home_, stop));
  StoppedThread& t = stop.threads().front();
  Restore restore(home_, stop, t, home_.stack_of(home_.slot_of(t)));
  OM_STEP(restore.plan(body));
  OM_STEP(restore.drop());
  if (!session_.has_keeper()) return refuse(ReasonCode::kOutOfReach, "{}", at_);
  KJ_IF_MAYBE (keeper, session_.keeper()) {
    auto request = keeper->collectRequest();
    auto ranges = request.initRanges(static_cast<unsigned>(restore.asked().size()));
    for (unsigned i = 0; i < ranges.size(); i++) {
      ranges[i].setLo(restore.asked()[i].lo);
      ranges[i].setHi(restore.asked()[i].hi);
      ranges[i].setFile(restore.asked()[i].file);
    }
    auto answer = request.send();
    Restore::Counts counts;
    KJ_DEFER({
      record.pages += counts.pages;
      record.bytes_raw += counts.bytes;
      record.bytes_wire += counts.wire;
    });
    // Frames until the end mark; the answer comes behind it.
    auto read = [&](std::span<std::byte> to) { session_.read_pages(to); };
    OM_STEP(restore.receive(read, counts));
    auto collected =
        io_.provider->getTimer().timeoutAfter(kKeeperAnswers, kj::mv(answer)).wait(io_.waitScope);
    OM_STEP(check(collected.getVerdict()));
    // Why, the keeper has said in its answer.
    if (!restore.complete()) return refuse(ReasonCode::kInternal, "pages are missing");
  }
  return fault("return.memory");
}

// The body never ran, or did nothing that anybody has seen: home goes on from what it still holds. Refused, the process
// is away as before.
Step Mover::roll_back(const std::string& why) {
  KJ_DEFER(let_executors_answer(home_));
  const uint32_t hold = 1;
  OM_MUST_VOID(home_.target->put_home_field(offsetof(HomeState, hold), hold));
  StoppedProcess stop = OM_STEP(stop_executors(home_));
  home_.state = OM_MUST(home_.target->home());
  if (home_.state.effectful != 0)
    return refuse(ReasonCode::kInternal, "the body has acted already");
  if (home_.state.dropped != 0)
    return refuse(ReasonCode::kInternal, "home's memory has been given back");
  OM_STEP(settle_executors(home_, stop));
  OM_STEP(guard_executors(home_, stop));
  if (plans_.threads.empty()) {
    Step recalled = recall_plans(stop);
    if (!recalled) {
      plans_.clear();
      return recalled;
    }
  }
  std::vector<ThreadState> states;
  for (const auto& plan : plans_.threads) states.push_back(plan.state);
  OM_STEP(restore_threads(home_, stop, states, plans_.xsaves, 0, around_.note));
  log_warn("mover", "process {}: {}; it goes on at home", home_.pid, why);
  away_ = false;
  disconnect();
  finished_ = true;
  at_ = home_node_;
  return Done{};
}

}  // namespace om::deputy
