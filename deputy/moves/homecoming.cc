// SPDX-License-Identifier: Apache-2.0
#include "deputy/moves/homecoming.h"

#include <kj/common.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "deputy/base/host.h"
#include "deputy/base/text.h"
#include "deputy/home/executors.h"
#include "deputy/home/received.h"
#include "deputy/home/threads_back.h"
#include "deputy/memory/restore.h"
#include "libom/abi/home.h"
#include "libom/abi/thread.h"

namespace om::deputy {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kKeeperAnswers = 30 * kj::SECONDS;
constexpr auto kCallsArrive = std::chrono::seconds(2);
constexpr int64_t kNsPerSecond = 1000000000;

// Waits until home's clock has reached what the body has shown; a lead of a second or more is not believed.
void wait_for_clock(int64_t shown_ns) {
  const auto now = static_cast<int64_t>(now_ns(CLOCK_MONOTONIC));
  if (shown_ns > now && shown_ns - now < kNsPerSecond)
    std::this_thread::sleep_for(std::chrono::nanoseconds(shown_ns - now));
}

}  // namespace

MoveRecord come_home(Process& process) {
  MoveRecord record;
  record.pid = process.home.pid;
  record.from = process.at();
  record.to = process.home_node;
  const auto start = Clock::now();
  process.say(wire::State::MOVING);
  Step done = Done{};
  KJ_IF_MAYBE (exception,
               kj::runCatchingExceptions([&] { done = Homecoming(process, record).run(); })) {
    done = broken(*exception, ReasonCode::kOutOfReach);
    // If the connection failed: once the keeper is back, it hears that the body is to go on (session/watch.cc).
    process.let_body_go_on();
  }
  if (!done.ok() && has_ended(record.pid))
    done = refuse(ReasonCode::kNoSuchProcess, "it has ended");
  record.conclude(done, Clock::now() - start);
  process.say_where();
  return record;
}

Step Homecoming::run() {
  if (!process_.away()) return refuse(ReasonCode::kAlreadyThere, "{}", process_.home_node);
  OM_TRY(process_.wait_for_keeper());
  OM_TRY(fault("return.begin"));
  // A copy: the session's own changes when it is lost.
  schema::Body::Client body = KJ_ASSERT_NONNULL(session_.body(), "just waited for");
  Step done = bring_home(body);
  if (!done) {
    session_.resume_body(body);
    return done;
  }
  process_.come_back();
  return Done{};
}

// Stops the body, and home's threads for as long as it takes.
Step Homecoming::bring_home(schema::Body::Client& body) {
  const auto frozen = Clock::now();
  auto stopped = session_.stop_body(body, false);
  OM_TRY(check(stopped.getVerdict()));
  const Description image = OM_TRY(read_description(stopped.getState()));
  record_.threads = image.threads.size();
  const ReturningThreads threads = OM_TRY(read_body(image));
  OM_TRY(wait_for_calls(threads.states));
  OM_TRY(stop_home(image, threads));
  record_.freeze_ms = std::chrono::duration<double, std::milli>(Clock::now() - frozen).count();
  return Done{};
}

Step Homecoming::stop_home(const Description& body, const ReturningThreads& threads) {
  (void)hold_executors(home_);
  Step step = fault("return.hold");
  auto stopped = step.ok() ? stop_executors(home_) : Verdict<StoppedProcess>(step.error());
  if (!stopped) {
    let_executors_answer(home_);
    return stopped.error();
  }
  StoppedProcess& stop = *stopped;
  KJ_DEFER(let_executors_answer(home_));  // before the threads run on, also after an exception
  step = settle_and_restore(stop, body);
  if (step.ok()) {
    wait_for_clock(body.clocks.mono_ns);
    step = restore_threads(home_, stop, threads.states, threads.xsaves, body.clocks.cpu_ns,
                           process_.around.note);
  }
  if (!step) {
    let_executors_answer(home_);
    stop.release();
  }
  return step;
}

Step Homecoming::settle_and_restore(StoppedProcess& stop, const Description& body) {
  const uint32_t session = session_.count();
  OM_TRY(fault("return.stop"));
  OM_TRY(settle_executors(home_, stop));
  OM_TRY(fault("return.settled"));
  OM_TRY(restore_memory_around(stop, body));
  // If there is a new session meanwhile, the body has been told to go on.
  if (!session_.has_keeper() || session != session_.count())
    return refuse(ReasonCode::kOutOfReach, "{}", process_.at());
  return Done{};
}

// Checks what the keeper says about the threads.
Verdict<ReturningThreads> Homecoming::read_body(const Description& body) {
  OM_TRY(fault("return.calls"));
  home_.state = OM_MUST(home_.target->home());
  return read_threads(body, OM_MUST(local_layout()),
                      std::min(home_.state.slots_ready, home_.state.nslots));
}

// Waits until every Call that the body has sent has reached home and is executing, or executed.
Step Homecoming::wait_for_calls(const std::vector<ThreadState>& states) {
  const Deadline deadline = Clock::now() + kCallsArrive;
  for (const ThreadState& s : states) {
    for (;;) {
      const HomeThread h = OM_MUST(home_.target->thread(home_.arena, s.slot));
      if (h.state != kSlotUsed)
        return refuse(ReasonCode::kInternal, "thread slot {} has no twin at home", s.slot);
      if (h.seq_started >= s.seq) break;
      if (Clock::now() > deadline)
        return refuse(ReasonCode::kOutOfReach, "a call of thread {} is still on its way", h.tid);
      process_.io.provider->getTimer().afterDelay(1 * kj::MILLISECONDS).wait(process_.io.waitScope);
    }
  }
  return Done{};
}

// Leaves alone what calls from before the departure have received at home since.
Step Homecoming::restore_memory_around(StoppedProcess& stop, const Description& body) {
  Received received;
  for (auto& t : stop.threads())
    received.take(*home_.target, OM_MUST(home_.target->thread(home_.arena, home_.slot_of(t))));
  KJ_DEFER(received.put(*home_.target));  // also if the process does not come home
  return restore_memory(stop, body);
}

Step Homecoming::restore_memory(StoppedProcess& stop, const Description& body) {
  OM_TRY(guard_executors(home_, stop));
  StoppedThread& t = stop.threads().front();
  Restore restore(home_, stop, t, home_.stack_of(home_.slot_of(t)));
  OM_TRY(restore.plan(body));
  OM_TRY(restore.drop());
  if (!session_.has_keeper()) return refuse(ReasonCode::kOutOfReach, "{}", process_.at());
  KJ_IF_MAYBE (client, session_.body()) {
    auto request = client->collectRequest();
    auto ranges = request.initRanges(static_cast<unsigned>(restore.asked().size()));
    for (unsigned i = 0; i < ranges.size(); i++) {
      ranges[i].setLo(restore.asked()[i].lo);
      ranges[i].setHi(restore.asked()[i].hi);
      ranges[i].setFile(restore.asked()[i].zeros);
    }
    auto answer = request.send();
    PageSource pages(session_.bulk(),
                     ExpectedPages(restore.asked(), ExpectedPages::Order::kOnce, Clock::now()));
    KJ_DEFER({
      record_.pages += pages.counts().pages;
      record_.bytes_raw += pages.counts().bytes;
      record_.bytes_wire += pages.counts().wire;
    });
    // Frames up to the end mark; the answer follows it.
    OM_TRY(restore.receive(pages, [&](kj::Promise<PageSource::Next>&& next) {
      return session_.wait_for_pages(kj::mv(next));
    }));
    auto collected = process_.io.provider->getTimer()
                         .timeoutAfter(kKeeperAnswers, kj::mv(answer))
                         .wait(process_.io.waitScope);
    OM_TRY(check(collected.getVerdict()));
    // If the keeper knows why, its answer has said so.
    if (!pages.complete()) return refuse(ReasonCode::kInternal, "pages are missing");
  }
  return fault("return.memory");
}

}  // namespace om::deputy
