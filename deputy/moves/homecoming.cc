// SPDX-License-Identifier: Apache-2.0
//
// The way home, and the rollback of a departure, which ends the same way. Every thread leaves libom: one that
// computes gets its registers, one whose call is finished gets the result, one whose call still blocks gets
// the call itself back (the kernel restarts it at the program's own instruction). Afterwards nothing of ours
// is active in the process.
//
// Until restore_threads(home_, ) has decided (kHomeReturning) a failure means: the body goes on. Should this process die
// before, the executors go on, too, by their frames, and another deputy takes the process over (takeover.cc, around_.note); after it,
// that one completes the return from what is in the slots. Nothing behind the decision depends on how long it takes:
// threads that do not stop are waited for as long as they live. It is one file, as homecoming and rollback share their
// steps.
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <kj/common.h>

#include <algorithm>
#include <thread>

#include "common/base/log.h"
#include "common/image/bulk.h"
#include "common/proc/process.h"
#include "common/proc/stat.h"
#include "deputy/base/host.h"
#include "deputy/base/text.h"
#include "deputy/home/frames.h"
#include "deputy/home/received.h"
#include "deputy/memory/drops.h"
#include "deputy/memory/returning_pages.h"
#include "deputy/mover.h"
#include "gen/syscalls_desc.h"
#include "libom/abi/away_cpu.h"
#include "libom/abi/waiting.h"

namespace om::deputy {

Step check(schema::Outcome::Reader outcome);  // depart.cc

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
    bulk_stale_ = true;
    KJ_IF_MAYBE (keeper, keeper_) tasks_->add(keeper->resumeRequest().send().ignoreResult());
  }
  if (!done.ok() && has_ended(home_.pid)) done = refuse(ReasonCode::kNoSuchProcess, "it has ended");
  record.total_ms = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  if (done.ok()) {
    record.result = "moved";
    at_ = home_node_;
    around_.state(at_, "home");
  } else {
    const ReasonCode code = done.reason().code;
    record.result =
        code == ReasonCode::kInternal || code == ReasonCode::kTimeout ? "failed" : "refused";
    record.code = done.reason().name();
    record.message = done.reason().message();
    around_.state(at_, away_ ? "away" : "home");
  }
  return record;
}

Step Mover::come_home_steps(MoveRecord& record) {
  if (!away_) return refuse(ReasonCode::kAlreadyThere, "{}", home_node_);
  OM_STEP(wait_for_keeper());
  OM_STEP(fault("return.begin"));
  KJ_IF_MAYBE (present, keeper_) {
    schema::Keeper::Client held = *present;  // keeper_ changes when the session is lost
    schema::Keeper::Client* keeper = &held;
    auto& timer = io_.provider->getTimer();
    const auto frozen = Clock::now();
    auto stop_request = keeper->stopRequest();
    if (++generation_ == 0) ++generation_;
    stop_request.setGeneration(generation_);
    auto body = timer.timeoutAfter(kKeeperAnswers, stop_request.send()).wait(io_.waitScope);
    auto resume_body = [&] {
      // What is still under way on the page connection is of no use any more: the keeper makes another one.
      bulk_stale_ = true;
      kj::runCatchingExceptions([&] {
        timer.timeoutAfter(kKeeperAnswers, keeper->resumeRequest().send()).wait(io_.waitScope);
      });
    };
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
    const uint32_t session = sessions_;
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
    if (step.ok() && (keeper_ == nullptr || session != sessions_))
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
  const uint64_t own = home_.stack_of(home_.slot_of(t));
  auto remote = [&](uint64_t function, uint64_t argument) -> Verdict<int64_t> {
    return home_.run_remote(stop, t, own, function, argument);
  };
  home_.state = OM_MUST(home_.target->home());
  if (home_.state.mirror_failed != 0 && OM_STEP(remote(kRemoteMirror, 0)) != 0) {
    return refuse(ReasonCode::kHomeMemory, "{} changes of the address space failed at home",
                  home_.state.mirror_failed);
  }
  OM_MUST_VOID(home_.target->reread_maps());
  home_.state = OM_MUST(home_.target->home());
  OM_STEP(describe_memory());

  // What the body may have changed, and with it everything that must not show old contents.
  struct Part {
    uint64_t lo, hi;
    bool drop, file;
  };
  std::vector<Part> parts;
  const bool all_touched = body.getTouchedAll() || body.getTouched().size() > kMaxTouched;
  auto touched = [&](uint64_t lo, uint64_t hi) {
    if (all_touched) return true;
    for (auto r : body.getTouched()) {
      if (r.getLo() < hi && r.getHi() > lo) return true;
    }
    return false;
  };
  uint64_t stack_lo = 0, stack_hi = 0;
  const auto stat = OM_MUST(proc::read_stat(proc::memory_tid(home_.pid)));
  for (const auto& r : regions_) {
    if (r.kind == kKindReserve || r.kind == kKindView) continue;
    if (r.kind == kKindStack) {
      stack_hi = r.hi;
      stack_lo = std::min(stack_start(r.hi), body.getStackLow() & ~(kPageSize - 1));
      if (stack_lo < r.lo)
        return refuse(ReasonCode::kHomeMemory, "its stack is larger than it may be");
      parts.push_back({stack_lo, r.hi, true, false});
      continue;
    }
    if (r.beyond_file) continue;
    if (r.file && !(r.prot & PROT_WRITE) && !touched(r.lo, r.hi)) continue;
    if (r.shared && !(r.prot & PROT_WRITE)) continue;
    parts.push_back({r.lo, r.hi, !r.shared, r.file || r.shared});
  }
  OM_STEP(open_objects());
  for (uint64_t i = 0; i < home_.state.object_count; i++) {
    const MemoryObject& o = home_.state.objects[i];
    parts.push_back({o.view, o.view + page_up(o.bytes), false, true});
  }
  std::sort(parts.begin(), parts.end(), [](const Part& a, const Part& b) { return a.lo < b.lo; });
  if (stack_lo != 0 && stack_lo < stack_start(stack_hi) &&
      OM_STEP(remote(kRemoteTouch, stack_lo)) != 0)
    return refuse(ReasonCode::kHomeMemory, "its stack cannot grow");
  std::vector<Range> drops;
  for (const auto& p : parts) {
    if (!p.drop) continue;
    Range r{p.lo, p.hi};
    // Arguments and environment are rewritten by what the body sends; all of the stack's pages are.
    if (r.hi == stack_hi && stack_hi != 0)
      r.hi = std::max(r.lo, stat.startstack & ~(kPageSize - 1));
    if (r.lo < r.hi) drops.push_back(r);
  }
  OM_STEP(fault("return.drop"));
  // All of it, as much at a time as libom has room for.
  const auto all = std::span<const Range>(drops);
  for (size_t at = 0; at < all.size(); at += kMaxDrops) {
    const auto some = all.subspan(at, std::min(kMaxDrops, all.size() - at));
    OM_MUST_VOID(home_.target->memory.write(home_.arena + kControlPlan, std::as_bytes(some)));
    home_.state.drop_count = some.size();
    home_.state.dropped = 0;
    OM_MUST_VOID(
        home_.target->put_home_field(offsetof(HomeState, drop_count), home_.state.drop_count));
    OM_MUST_VOID(home_.target->put_home_field(offsetof(HomeState, dropped), home_.state.dropped));
    const uint64_t none = 0;
    OM_MUST_VOID(home_.target->put_home_field(offsetof(HomeState, drop_failed), none));
    OM_STEP(remote(kRemoteDrop, 1));
    // Pages that still have old contents would show where the body has zeros.
    const HomeState after = OM_MUST(home_.target->home());
    if (after.drop_failed != 0 || after.dropped != 2)
      return refuse(ReasonCode::kHomeMemory, "memory cannot be given back");
  }

  if (keeper_ == nullptr) return refuse(ReasonCode::kOutOfReach, "{}", at_);
  KJ_IF_MAYBE (keeper, keeper_) {
    auto request = keeper->collectRequest();
    auto ranges = request.initRanges(static_cast<unsigned>(parts.size()));
    for (unsigned i = 0; i < parts.size(); i++) {
      ranges[i].setLo(parts[i].lo);
      ranges[i].setHi(parts[i].hi);
      ranges[i].setFile(parts[i].file);
    }
    auto answer = request.send();
    std::vector<ReturningPages::Part> asked;
    for (const auto& p : parts) asked.push_back({p.lo, p.hi, p.file});
    ReturningPages returning(std::move(asked), Clock::now());
    // Frames until the end mark; the answer comes behind it.
    std::vector<std::byte> buffer(kBulkMaxBytes);
    const std::vector<std::byte> zeros(kBulkMaxBytes);
    for (;;) {
      BulkHeader h{};
      wait_for_pages(bulk_->read(&h, sizeof h));
      record.bytes_wire += sizeof h;
      OM_STEP(fault("return.page"));
      if (!OM_STEP(returning.take(h, Clock::now()))) break;
      if (h.kind == kBulkZero) {
        // Zeros in place of what the file has. Beyond its end there is nothing to write to.
        const auto blank = std::span(zeros).first(h.bytes);
        if (is_in_object(h.address)) {
          OM_STEP(store_in_object(h.address, blank, true));
          continue;
        }
        for (uint64_t at = 0; at < h.bytes; at += kPageSize)
          (void)home_.target->memory.write(h.address + at, blank.first(kPageSize));
        continue;
      }
      wait_for_pages(bulk_->read(buffer.data(), h.bytes));
      record.pages += h.bytes / kPageSize;
      record.bytes_raw += h.bytes;
      record.bytes_wire += h.bytes;
      if (is_in_object(h.address)) {
        OM_STEP(store_in_object(h.address, std::span(buffer).first(h.bytes), false));
        continue;
      }
      auto put = home_.target->memory.write(h.address, std::span(buffer).first(h.bytes));
      const bool file = !put && std::any_of(parts.begin(), parts.end(), [&](const auto& p) {
        return p.file && p.lo <= h.address && h.address < p.hi;
      });
      // The file may have become shorter meanwhile: pages behind its end have gone, at home as natively.
      for (uint64_t at = 0; file && at < h.bytes; at += kPageSize) {
        const auto page =
            std::span(buffer).subspan(at, std::min<uint64_t>(kPageSize, h.bytes - at));
        std::byte there;
        if (!home_.target->memory.read(h.address + at, std::span(&there, 1))) continue;
        if (auto one = home_.target->memory.write(h.address + at, page); !one)
          return refuse(ReasonCode::kHomeMemory, "{}", one.error().text());
      }
      if (!put && !file) return refuse(ReasonCode::kHomeMemory, "{}", put.error().text());
    }
    auto collected =
        io_.provider->getTimer().timeoutAfter(kKeeperAnswers, kj::mv(answer)).wait(io_.waitScope);
    OM_STEP(check(collected.getVerdict()));
    // Why, the keeper has said in its answer.
    if (!returning.complete()) return refuse(ReasonCode::kInternal, "pages are missing");
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
