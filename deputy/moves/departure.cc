// SPDX-License-Identifier: Apache-2.0
#include "deputy/moves/departure.h"

#include <kj/async-unix.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/base/log.h"
#include "common/proc/process.h"
#include "deputy/base/text.h"
#include "deputy/home/arena.h"
#include "deputy/home/leave.h"
#include "deputy/home/place.h"
#include "deputy/home/plan_threads.h"
#include "deputy/memory/drops.h"
#include "deputy/memory/ship.h"
#include "deputy/moves/commit.h"
#include "deputy/moves/describe.h"
#include "libom/abi/home.h"

namespace om::deputy {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kKeeperArrives = 20 * kj::SECONDS;
constexpr auto kKeeperAnswers = 60 * kj::SECONDS;
constexpr int kAttempts = 3;  // if the program changes during the preparations

// Whether the program has become another one (execve) since it was opened: its memory is gone then.
bool is_replaced(const HomeSide& home) { return home.target && !home.target->home(); }

// What is prepared while the program runs may no longer fit it once it is stopped: then starts over.
Step attempt(Process& process, const std::string& to, MoveRecord& record) {
  for (int attempts = 1;; attempts++) {
    process.home.target.reset();
    Departure departure(process, to, record);
    Step done = departure.run();
    if (done.ok() || process.away() || attempts == kAttempts || !departure.is_outdated())
      return done;
    log_info("depart", "process {} has changed: {}", process.home.pid, done.error().message());
    process.disconnect();
  }
}

}  // namespace

MoveRecord depart(Process& process, const std::string& to) {
  MoveRecord record;
  record.pid = process.home.pid;
  record.from = process.at();
  record.to = to;
  const auto start = Clock::now();
  process.say(wire::State::MOVING);
  Step done = Done{};
  KJ_IF_MAYBE (exception, kj::runCatchingExceptions([&] { done = attempt(process, to, record); })) {
    if (process.away()) kj::throwFatalException(kj::mv(*exception));
    done = broken(*exception);
  }
  if (!done.ok() && has_ended(record.pid))
    done = refuse(ReasonCode::kNoSuchProcess, "it has ended");
  record.conclude(done, Clock::now() - start);
  if (!done.ok() && !process.away()) process.come_back();
  process.say_where();
  return record;
}

Step Departure::run() {
  OM_TRY(fault("depart.inspect"));
  const auto report = inspect_process(home_.pid);
  if (!report.reasons.empty()) return report.reasons.front();
  home_.target = OM_TRY(open_target(home_.pid));
  home_.state = OM_MUST(home_.target->home());
  // The threads themselves have undone a departure whose deputy died (libom/stub/remote.cc).
  if (home_.state.phase == kHomeCaptured && home_.state.undone == 2)
    home_.state.phase = kHomeNative;
  if (home_.state.phase != kHomeNative)
    return refuse(ReasonCode::kInternal, "another deputy is still in charge of the process");
  OM_TRY(prepare_keeper());
  StoppedProcess stopped = OM_TRY(stop(report));
  const auto frozen = stopped.since();
  record_.threads = stopped.threads().size();
  Step step = capture(stopped);
  if (step.ok()) step = ship();
  if (!step) {
    let_stay(stopped);
    return step;
  }
  step = connect(stopped);
  if (step.ok()) step = leave_home(home_, stopped, process_.plans);
  if (!step) {
    undo_leaving(home_, stopped, process_.plans);
    let_stay(stopped);
    return step;
  }
  process_.leave(to_);
  OM_TRY(commit(process_));
  (void)fault_at("depart.committed");  // too late to fail: it can only be killed here
  record_.freeze_ms = std::chrono::duration<double, std::milli>(Clock::now() - frozen).count();
  return Done{};
}

bool Departure::is_outdated() const { return outdated_ || is_replaced(home_); }

Step Departure::prepare_keeper() {
  const auto status = OM_MUST(proc::read_status(proc::memory_tid(home_.pid)));
  const uint32_t threads = std::max<uint32_t>(status.threads, 1);
  const OfferedProcess offer = make_offer(home_, status, threads);
  OM_TRY(call_keeper(offer));
  OM_TRY(choose_arena(threads));
  limits_ = OM_MUST(InheritedLimits::read(home_.pid));
  KJ_IF_MAYBE (keeper, session_.keeper()) {
    auto request = keeper->makeBodyRequest();
    auto spec = request.initSpec();
    spec.setCommand(status.name.c_str());
    spec.setThreads(threads);
    limits_.write(spec);
    OM_TRY(describe_libom(home_, offer, spec));
    OM_TRY(session_.make_body(request, kKeeperAnswers));
  }
  session_.await_bulk(kKeeperArrives);
  return fault("depart.prepared");
}

// Has the target start a keeper and waits for its connection.
Step Departure::call_keeper(const OfferedProcess& offer) {
  OM_TRY(session_.link().listen());
  session_.expect(random_terms(), 0,
                  [&home = home_](uint64_t attempt) { return home.remember_attempt(attempt); });
  auto verdict =
      process_.around
          .need_guest(to_, session_.terms(), session_.link().wire(), session_.link().port(), offer)
          .wait(process_.io.waitScope);
  if (verdict) return *verdict;
  OM_TRY(fault("depart.ask"));
  if (!process_.pidfd.valid())
    return refuse(ReasonCode::kInternal, "the process cannot be watched");
  auto observer = kj::heap<kj::UnixEventPort::FdObserver>(
      process_.io.unixEventPort, process_.pidfd.get(), kj::UnixEventPort::FdObserver::OBSERVE_READ);
  auto ended = observer->whenBecomesReadable().then([] { return kj::Own<kj::AsyncIoStream>(); });
  auto arrives = session_.link().session().exclusiveJoin(ended.attach(kj::mv(observer)));
  auto stream = process_.io.provider->getTimer()
                    .timeoutAfter(kKeeperArrives, kj::mv(arrives))
                    .wait(process_.io.waitScope);
  if (stream.get() == nullptr) return refuse(ReasonCode::kNoSuchProcess, "it has ended");
  session_.open(kj::mv(stream));
  return Done{};
}

// Chooses where libom's own memory lies: a place that is free now (reserved at the stop), or where it still is.
Step Departure::choose_arena(uint32_t threads) {
  home_.arena = home_.state.arena;
  if (home_.arena != 0) return Done{};
  const auto as_limit = OM_MUST(proc::read_limit(home_.pid, RLIMIT_AS));
  const auto nofile = OM_MUST(proc::read_limit(home_.pid, RLIMIT_NOFILE));
  home_.state.nslots = thread_slots(threads, as_limit.rlim_cur, nofile.rlim_max);
  home_.arena =
      OM_TRY(find_place(home_.target->maps, home_.target->image_lo(), home_.state.nslots));
  return Done{};
}

// If threads do not stop, or cannot be stopped, something that they have begun since may say why.
Verdict<StoppedProcess> Departure::stop(const ProcessReport& before) {
  auto stopped = StoppedProcess::stop(
      home_.pid, {.look = [&] { return look_again(before); }, .target = &*home_.target});
  if (stopped || (stopped.error().code != ReasonCode::kUninterruptible &&
                  stopped.error().code != ReasonCode::kPermission))
    return stopped;
  const auto report =
      inspect_stopped(home_.pid, before);  // a thread may be ours until it has stopped
  if (!report.reasons.empty()) return report.reasons.front();
  return stopped;
}

// With all threads stopped: what has the program begun since it was inspected, and does it still fit what was prepared?
Step Departure::look_again(const ProcessReport& before) {
  auto report = inspect_stopped(home_.pid, before);
  if (!report.reasons.empty()) return report.reasons.front();
  if (is_replaced(home_))
    return refuse(ReasonCode::kInCall, "it executes one program after the other");
  OM_MUST_VOID(home_.target->reread_maps());
  outdated_ = true;
  const auto tids = OM_MUST(proc::list_tasks(home_.pid));
  if (tids.size() > home_.state.nslots)
    return refuse(ReasonCode::kHomeMemory, "{} threads have begun meanwhile", tids.size());
  if (home_.state.arena == 0 &&
      !is_free(home_.target->maps, home_.arena, home_.arena + arena_bytes(home_.state.nslots)))
    return refuse(ReasonCode::kHomeMemory, "the place for libom's own memory was taken");
  if (OM_MUST(InheritedLimits::read(home_.pid)) != limits_)
    return refuse(ReasonCode::kHomeMemory, "its limits change all the time");
  outdated_ = false;
  report_ = std::move(report);
  return Done{};
}

// Collects everything that home knows of the stopped process; changes only libom's own memory.
Step Departure::capture(StoppedProcess& stop) {
  ThreadPlans& plans = process_.plans;
  OM_TRY(fault("depart.stop"));
  OM_TRY(settle_position(stop, *home_.target));
  plans = OM_TRY(plan_threads(home_, stop));
  OM_TRY(set_up_arena(home_, stop, plans));
  OM_TRY(fault("depart.arena"));
  settings_ = OM_TRY(ask_threads(home_, stop, plans));
  OM_TRY(fault("depart.threads"));
  OM_TRY(choose_descriptors(home_));
  OM_TRY(objects_.find(report_));
  OM_TRY(process_.files.take(report_));
  OM_TRY(space_.describe(home_));
  OM_TRY(fault("depart.describe"));
  home_.state.epoch++;
  return Done{};
}

// Sends the description and the pages, and waits for the channels that the keeper makes for the threads.
Step Departure::ship() {
  KJ_IF_MAYBE (body, session_.body()) {
    auto request = body->buildRequest();
    OM_TRY(
        describe_process({home_, process_.plans, space_, settings_, process_.files.writes_files()},
                         request.initImage()));
    auto answer = session_.ask(request, kKeeperAnswers);
    OM_TRY(check(answer.getVerdict()));
    OM_TRY(fault("depart.ship"));
    PageSink sink(session_.bulk(),
                  [this](kj::Promise<void>&& written) { written.wait(process_.io.waitScope); });
    OM_TRY(ship_pages(sink, home_, space_, objects_));
    objects_.close();
    OM_TRY(fault("depart.shipped"));
    record_.pages = sink.counts().pages;
    record_.bytes_raw = sink.counts().bytes;
    record_.bytes_wire = sink.counts().wire;
    auto filled = body->filledRequest();
    filled.setPages(sink.counts().pages);
    auto ready = session_.ask(filled, kKeeperAnswers);
    OM_TRY(check(ready.getVerdict()));
  }
  const auto channels = static_cast<uint32_t>(process_.plans.threads.size());
  process_.io.provider->getTimer()
      .timeoutAfter(kKeeperArrives, session_.link().wait_for_channels(channels))
      .wait(process_.io.waitScope);
  return fault("depart.channels");
}

// Makes the process able to be a deputy.
Step Departure::connect(StoppedProcess& stop) {
  // What home may give back once the body has done something: private memory, except what blocked calls use.
  const auto own = OM_MUST(space_.own_memory(home_));
  const auto drops = OM_TRY(plan_drops(own, pinned_ranges(*home_.target, process_.plans.threads)));
  return connect_home(
      home_, stop, process_.plans,
      {session_.terms().session, process_.member, drops,
       [&session = session_](uint32_t slot) { return session.link().channels().take(slot); }});
}

// Lets the process go on at home as if no move had been asked for.
void Departure::let_stay(StoppedProcess& stop) {
  stop.put_back();
  give_arena_back(home_, stop);
  stop.detach();
}

}  // namespace om::deputy
