// SPDX-License-Identifier: Apache-2.0
//
// Departure. Until home has decided every failure means: put back what was changed and let the threads run.
//
//   look, ask, prepare the keeper     the program runs
//   stop, look again, describe, ship  stopped, nothing changed but libom's own memory
//   connect, catchers                 stopped, can be undone (undo_home)
//   registers, commit flag, detach    home becomes the deputy
//   COMMIT to the keeper              the body runs; a failure is a lost session (commit())
//
// Over 500 lines, because the order of these steps is the point of the file; arena.cc has the parts that do
// not depend on it.
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>

#include "common/base/log.h"
#include "common/cpu/cpu_features.h"
#include "common/movable/preflight.h"
#include "common/proc/process.h"
#include "common/proc/stat.h"
#include "common/proc/status.h"
#include "deputy/base/host.h"
#include "deputy/base/text.h"
#include "deputy/home/frames.h"
#include "deputy/home/home_session.h"
#include "deputy/home/place.h"
#include "deputy/memory/drops.h"
#include "deputy/memory/ship.h"
#include "deputy/mover.h"
#include "gen/syscalls_desc.h"
#include "libom/abi/anchor.h"
#include "libom/abi/home.h"
#include "libom/abi/sockets.h"
#include "libom/abi/thread.h"

namespace om::deputy {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kKeeperArrives = 20 * kj::SECONDS;
constexpr auto kKeeperAnswers = 60 * kj::SECONDS;
constexpr auto kCommitAnswers = 10 * kj::SECONDS;
constexpr uint64_t kStackTop = kSlotStack + kSlotStackSize - 64;
constexpr int kDepartures = 3;  // tries, if the program changes while it is prepared for

template <class T>
std::span<const std::byte> bytes_of(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

}  // namespace

MoveRecord Mover::depart(const std::string& to) {
  MoveRecord record;
  record.pid = home_.pid;
  record.from = at_;
  record.to = to;
  const auto start = Clock::now();
  around_.state(at_, "moving");
  Step done = Done{};
  KJ_IF_MAYBE (exception, kj::runCatchingExceptions([&] { done = depart_steps(to, record); })) {
    // With the process away it is this deputy that cannot go on: another one takes the process over.
    if (away_) kj::throwFatalException(kj::mv(*exception));
    done = broken(*exception);
  }
  if (!done.ok() && has_ended(home_.pid)) done = refuse(ReasonCode::kNoSuchProcess, "it has ended");
  record.conclude(done, Clock::now() - start);
  if (done.ok()) {
    around_.state(at_, "away");
  } else {
    if (!away_) {
      disconnect();
      finished_ = true;
    }
    around_.state(at_, away_ ? "away" : "home");
  }
  return record;
}

// What is prepared while the program runs may not fit it any more when it stands: then once more from the beginning.
Step Mover::depart_steps(const std::string& to, MoveRecord& record) {
  for (int tries = 1;; tries++) {
    outdated_ = false;
    home_.target.reset();
    Step done = depart_once(to, record);
    if (done.ok() || away_ || tries == kDepartures) return done;
    if (!outdated_ && !is_replaced()) return done;
    log_info("depart", "process {} has changed: {}", home_.pid, done.reason().message());
    disconnect();
  }
}

// Has the program become another one (execve) since it was opened: its memory is gone then.
bool Mover::is_replaced() const { return home_.target && !home_.target->home(); }

// All threads stand: what has the program begun since it was looked at, and does it still fit what was prepared.
Step Mover::look_again(const ProcessReport& before) {
  auto report = inspect_stopped(home_.pid, before);
  if (!report.reasons.empty()) return report.reasons.front();
  if (is_replaced()) return refuse(ReasonCode::kInCall, "it executes one program after the other");
  OM_MUST_VOID(home_.target->reread_maps());
  outdated_ = true;
  const auto tids = OM_MUST(proc::list_tasks(home_.pid));
  if (tids.size() > home_.state.nslots)
    return refuse(ReasonCode::kHomeMemory, "{} threads have begun meanwhile", tids.size());
  if (home_.state.arena == 0 &&
      !is_free(home_.target->maps, home_.arena, home_.arena + arena_bytes(home_.state.nslots)))
    return refuse(ReasonCode::kHomeMemory, "the place for libom's own memory was taken");
  for (size_t i = 0; i < std::size(kInheritedLimits); i++) {
    const auto limit = OM_MUST(proc::read_limit(home_.pid, kInheritedLimits[i]));
    if (limit.rlim_cur != limits_[i].rlim_cur || limit.rlim_max != limits_[i].rlim_max)
      return refuse(ReasonCode::kHomeMemory, "its limits change all the time");
  }
  outdated_ = false;
  report_ = std::move(report);
  return Done{};
}

// Threads that do not stop, or cannot be stopped, may have begun something that says why.
Verdict<StoppedProcess> Mover::stop_for_departure(const ProcessReport& before) {
  auto stop = StoppedProcess::stop(
      home_.pid, {.look = [&] { return look_again(before); }, .target = &*home_.target});
  if (stop || (stop.reason().code != ReasonCode::kUninterruptible &&
               stop.reason().code != ReasonCode::kPermission))
    return stop;
  const auto report = inspect_stopped(home_.pid, before);  // a thread may be ours until it stands
  if (!report.reasons.empty()) return report.reasons.front();
  return stop;
}

Step Mover::depart_once(const std::string& to, MoveRecord& record) {
  OM_STEP(fault("depart.inspect"));
  const auto report = inspect_process(home_.pid);
  if (!report.reasons.empty()) return report.reasons.front();
  home_.target = OM_STEP(open_target(home_.pid));
  home_.state = OM_MUST(home_.target->home());
  // A departure whose deputy died has been undone by the threads themselves (libom/stub/remote.cc).
  if (home_.state.phase == kHomeCaptured && home_.state.undone == 2)
    home_.state.phase = kHomeNative;
  if (home_.state.phase != kHomeNative)
    return refuse(ReasonCode::kInternal, "the process is still bound to another deputy");
  OM_STEP(prepare_keeper(to));
  StoppedProcess stop = OM_STEP(stop_for_departure(report));
  const auto frozen = stop.since();
  record.threads = stop.threads().size();
  Step shipped = ship_frozen(stop, record);
  if (!shipped) {
    let_stay(stop);
    return shipped.reason();
  }
  Step left = connect_home(stop);
  if (left.ok()) left = send_home_away(stop);
  if (!left) {
    undo_home(stop);
    let_stay(stop);
    return left.reason();
  }
  away_ = true;
  at_ = to;
  OM_STEP(commit());
  (void)fault_at("depart.committed");  // too late to fail: it can only be killed here
  record.freeze_ms = std::chrono::duration<double, std::milli>(Clock::now() - frozen).count();
  return Done{};
}

// Home has decided. What fails from here on is a lost session (watch.cc), but for one case: as long as the body has
// done nothing that anybody has seen, home takes the process back. Without the keeper's answer nobody knows whether it
// runs, and it may act at any moment; once it has, the process has moved.
Step Mover::commit() {
  make_watch();
  std::optional<Step> word;  // of the keeper
  kj::Promise<void> answer = kj::NEVER_DONE, pinned = nullptr;
  Step detached = fault("depart.detached");
  if (!detached) {
    word = detached;
  } else {
    KJ_IF_MAYBE (keeper, session_.keeper()) {
      // Without a word of its own: an older keeper cannot do it.
      pinned = watch_->cpus()
                   .send(*keeper, false)
                   .catch_([](kj::Exception&&) {})
                   .eagerlyEvaluate(nullptr);
      auto request = keeper->commitRequest();
      request.setEpoch(home_.state.epoch);
      request.setHomeMonoNs(static_cast<int64_t>(now_ns(CLOCK_MONOTONIC)));
      request.setHomeRealNs(static_cast<int64_t>(now_ns(CLOCK_REALTIME)));
      answer = io_.provider->getTimer()
                   .timeoutAfter(kCommitAnswers, request.send())
                   .then(
                       [&](capnp::Response<schema::Keeper::CommitResults>&& heard) {
                         word = check(heard.getVerdict());
                         notice_.happened();
                       },
                       [&](kj::Exception&& exception) {
                         word = Step(broken(exception));
                         notice_.happened();
                       })
                   .eagerlyEvaluate(nullptr);
    }
  }
  watch_->begin();
  while (!word && !watch_->noticed().is_the_end()) notice_.wait().wait(io_.waitScope);
  answer = nullptr;
  if (word && word->ok()) return Done{};
  const Watch::Noticed noticed = watch_->noticed();  // a rollback ends the watch
  if (noticed.process_gone) return refuse(ReasonCode::kNoSuchProcess, "it has ended");
  const Step back = noticed.exec ? Step(refuse(ReasonCode::kInternal, "it runs another program"))
                                 : roll_back("the target did not take over");
  if (back.ok()) {
    if (word) return word->reason();
    return refuse(ReasonCode::kTargetUnreachable, "its body was {}", noticed.body_end);
  }
  log_warn("mover", "process {} has left, although its keeper has not said so: {}", home_.pid,
           back.reason().message());
  session_.cut();
  return Done{};
}

// What the target judges before it starts a keeper.
Result<nlohmann::json> Mover::make_offer(const proc::Status& status, uint32_t threads) const {
  const auto cmdline = proc::read_cmdline(proc::memory_tid(home_.pid));
  const auto features = local_cpu_features();
  nlohmann::json offer;
  offer["abi"] = home_.target->anchor.keeper_gate_abi;
  offer["pid"] = home_.pid;
  offer["uid"] = status.uid[0];
  offer["command"] = cmdline && !cmdline->empty() ? cmdline->front() : status.name;
  // Of a mapped file everything that is not zero is sent, whether it is in memory here or not.
  uint64_t memory = status.vm_rss_bytes + status.vm_swap_bytes;
  for (const auto& m : home_.target->maps) {
    if (m.kind == proc::MapKind::kFile && (m.prot & PROT_READ) != 0)
      memory += readable_end(home_.target->memory, {m.start, m.end}) - m.start;
  }
  offer["memory_bytes"] = memory;
  offer["threads"] = threads;
  offer["cpus"] = possible_cpus();
  offer["cpu_features"] = features ? *features : std::vector<std::string>();
  return offer;
}

// Has the target start a keeper and waits for its connection.
Step Mover::call_keeper(const std::string& to, nlohmann::json offer) {
  session_.expect(SessionKeys::random());
  auto verdict =
      around_.need_guest(to, session_.keys(), session_.link().port(), offer).wait(io_.waitScope);
  if (verdict) return *verdict;
  OM_STEP(fault("depart.ask"));
  if (!pidfd_.valid()) return refuse(ReasonCode::kInternal, "the process cannot be watched");
  auto observer = kj::heap<kj::UnixEventPort::FdObserver>(
      io_.unixEventPort, pidfd_.get(), kj::UnixEventPort::FdObserver::OBSERVE_READ);
  auto ended = observer->whenBecomesReadable().then([] { return kj::Own<kj::AsyncIoStream>(); });
  auto arrives = session_.link().session().exclusiveJoin(ended.attach(kj::mv(observer)));
  auto stream =
      io_.provider->getTimer().timeoutAfter(kKeeperArrives, kj::mv(arrives)).wait(io_.waitScope);
  if (stream.get() == nullptr) return refuse(ReasonCode::kNoSuchProcess, "it has ended");
  session_.open(kj::mv(stream));
  return Done{};
}

// What the keeper starts om-body with.
Step Mover::describe_libom(schema::BodySpec::Builder spec) {
  std::vector<std::byte> image(home_.target->image_hi() - home_.target->image_lo());
  OM_MUST_VOID(home_.target->memory.read(home_.target->image_lo(), image));
  const Anchor& a = home_.target->anchor;
  spec.setKeeperGateAbi(a.keeper_gate_abi);
  spec.setImageLo(home_.target->image_lo());
  spec.setImageHi(home_.target->image_hi());
  spec.setGateLo(a.gate_lo);
  spec.setGateHi(a.gate_hi);
  spec.setBodyEntry(a.body_entry);
  spec.setBodyState(a.body_state);
  spec.setArena(home_.arena);
  spec.setSlots(home_.state.nslots);
  spec.setImage(kj::arrayPtr(reinterpret_cast<const kj::byte*>(image.data()), image.size()));
  std::vector<proc::Mapping> segments;
  for (proc::Mapping m : home_.target->maps) {
    // The end of libom's bss may share a mapping with memory of the program.
    m.start = std::max(m.start, home_.target->image_lo());
    m.end = std::min(m.end, home_.target->image_hi());
    if (m.start < m.end) segments.push_back(std::move(m));
  }
  auto out = spec.initSegments(static_cast<unsigned>(segments.size()));
  for (unsigned i = 0; i < segments.size(); i++) {
    out[i].setLo(segments[i].start);
    out[i].setHi(segments[i].end);
    out[i].setProt(static_cast<uint32_t>(segments[i].prot));
  }
  spec.setCpus(possible_cpus());
  auto limits = spec.initLimits(std::size(kInheritedLimits));
  for (unsigned i = 0; i < std::size(kInheritedLimits); i++) {
    const int resource = kInheritedLimits[i];
    auto limit = limits_[i] = OM_MUST(proc::read_limit(home_.pid, resource));
    limits[i].setResource(static_cast<uint32_t>(resource));
    // What comes near them comes home, where there is room for executors then and nothing else of libom's.
    const bool shared = resource == RLIMIT_AS || resource == RLIMIT_DATA;
    if (shared && limit.rlim_cur != RLIM_INFINITY)
      limit.rlim_cur -= std::min<rlim_t>(limit.rlim_cur, kExecutorRoom);
    limits[i].setSoft(limit.rlim_cur);
    limits[i].setHard(limit.rlim_max);
  }
  return Done{};
}

Step Mover::prepare_keeper(const std::string& to) {
  const auto status = OM_MUST(proc::read_status(proc::memory_tid(home_.pid)));
  const uint32_t threads = std::max<uint32_t>(status.threads, 1);
  OM_STEP(call_keeper(to, OM_MUST(make_offer(status, threads))));

  // Where libom's own memory lies: a place that is free now (taken at the stop), or where it still is.
  auto as_limit = OM_MUST(proc::read_limit(home_.pid, RLIMIT_AS));
  auto nofile = OM_MUST(proc::read_limit(home_.pid, RLIMIT_NOFILE));
  if (home_.state.arena == 0) {
    home_.state.nslots = thread_slots(threads, as_limit.rlim_cur, nofile.rlim_max);
    home_.arena =
        OM_STEP(find_place(home_.target->maps, home_.target->image_lo(), home_.state.nslots));
  } else {
    home_.arena = home_.state.arena;
  }
  xstate_layout_ = OM_MUST(local_layout());

  KJ_IF_MAYBE (keeper, session_.keeper()) {
    auto request = keeper->prepareRequest();
    auto spec = request.initSpec();
    spec.setCommand(status.name.c_str());
    spec.setThreads(threads);
    OM_STEP(describe_libom(spec));
    auto answer = session_.ask(request, kKeeperAnswers);
    OM_STEP(check(answer.getVerdict()));
  }
  session_.await_bulk(kKeeperArrives);
  return fault("depart.prepared");
}

Step Mover::ship_frozen(StoppedProcess& stop, MoveRecord& record) {
  OM_STEP(fault("depart.stop"));
  OM_STEP(settle_position(stop, *home_.target));
  plans_.clear();
  // Executors that still end a call see our stop in its result, whether the move comes about or not.
  for (auto& t : stop.threads()) {
    constexpr uint32_t kOne = 1;
    if (home_.is_in_arena(t)) {
      OM_MUST_VOID(
          home_.target->memory.put(home_.target->thread_address(home_.arena, home_.slot_of(t)) +
                                       offsetof(HomeThread, interrupted),
                                   kOne));
    }
  }
  OM_STEP(place_threads(home_, stop));
  for (auto& t : stop.threads()) {
    if (t.regs.gs_base != 0) return refuse(ReasonCode::kGsBase, "thread {}", t.tid);
    if (t.tracee.has_user_dispatch())
      return refuse(ReasonCode::kOwnTraps, "thread {}: system calls", t.tid);
    const auto slot = static_cast<uint32_t>(plans_.threads.size());
    if (home_.is_in_arena(t)) {
      plans_.threads.push_back(
          OM_STEP(plan_late(home_, t, OM_MUST(home_.target->thread(home_.arena, slot)))));
      std::vector<std::byte> area(t.xstate.size());
      OM_MUST_VOID(home_.target->memory.read(
          slot_address(home_.arena, slot) + kSlotFrame + kFrameXsave, area));
      plans_.xsaves.push_back(std::move(area));
    } else {
      plans_.threads.push_back(OM_STEP(classify(*home_.target, t)));
      plans_.xsaves.push_back(t.xstate);
    }
    plans_.threads.back().state.slot = slot;
  }
  if (plans_.threads.size() > home_.state.nslots)
    return refuse(ReasonCode::kInternal, "more threads than were prepared for, try again");
  OM_STEP(set_up_arena(home_, stop, plans_));
  OM_STEP(fault("depart.arena"));
  settings_ = OM_STEP(ask_threads(home_, stop, plans_));
  OM_STEP(fault("depart.threads"));
  OM_STEP(choose_descriptors(home_));
  OM_STEP(objects_.find(report_));
  OM_STEP(files_.take(report_));
  OM_STEP(space_.describe(home_));
  OM_STEP(fault("depart.describe"));
  home_.state.epoch++;

  KJ_IF_MAYBE (keeper, session_.keeper()) {
    auto request = keeper->buildRequest();
    describe(request.initImage());
    auto answer = session_.ask(request, kKeeperAnswers);
    OM_STEP(check(answer.getVerdict()));
    OM_STEP(fault("depart.ship"));
    const Shipped shipped = OM_STEP(ship_pages(io_, session_.bulk(), home_, space_, objects_));
    objects_.close();
    OM_STEP(fault("depart.shipped"));
    record.pages = shipped.pages;
    record.bytes_raw = shipped.bytes;
    record.bytes_wire = shipped.wire;
    auto filled = keeper->filledRequest();
    filled.setPages(shipped.pages);
    auto ready = session_.ask(filled, kKeeperAnswers);
    OM_STEP(check(ready.getVerdict()));
  }
  io_.provider->getTimer()
      .timeoutAfter(kKeeperArrives,
                    session_.link().channels(static_cast<uint32_t>(plans_.threads.size())))
      .wait(io_.waitScope);
  return fault("depart.channels");
}

// The process goes on at home as if it had not been asked.
void Mover::let_stay(StoppedProcess& stop) {
  stop.put_back();
  give_arena_back(home_, stop);
  stop.detach();
}

// Session socket, channels, catchers: the process becomes able to be a deputy.
Step Mover::connect_home(StoppedProcess& stop) {
  home_.socket.emplace(session_.keys().session,
                       [this](uint32_t slot) { return session_.link().take_channel(slot); });
  std::copy(std::begin(session_.keys().session), std::end(session_.keys().session),
            home_.state.session_id);
  home_.state.phase = kHomeCaptured;
  home_.state.fd_base = home_.fd_base;
  home_.state.session_fd = home_.state.pair[0] = home_.state.pair[1] = -1;
  home_.state.hold = home_.state.effectful = home_.state.dropped = 0;
  home_.state.undone = home_.state.place_lock = home_.state.asker = 0;
  home_.state.ticket_word = home_.state.ticket_waiters = 0;
  home_.state.tickets_done = 0;
  home_.state.mirror_failed = 0;
  home_.state.arena = home_.arena;

  // What may be given back once the body has done something: private memory, but for what blocked calls use.
  const auto own = OM_MUST(space_.own_memory(home_));
  const auto drops = OM_STEP(plan_drops(own, pinned_ranges(*home_.target, plans_.threads)));
  home_.state.drop_count = drops.size();
  OM_MUST_VOID(
      home_.target->memory.write(home_.arena + kControlPlan, std::as_bytes(std::span(drops))));
  OM_MUST_VOID(home_.target->put_home(home_.state));

  const LiftedFiles lifted(home_.pid,
                           static_cast<uint64_t>(home_.fd_base) + home_.state.nslots + 1);
  StoppedThread& t = stop.threads().front();
  const uint64_t stack = home_.stack_of(0);
  auto run = [&](uint64_t function) -> Step {
    const int64_t result = OM_STEP(home_.run_remote(stop, t, stack, function, 0));
    if (result != 0) return internal(Error{static_cast<int>(-result), "libom's preparation"});
    return Done{};
  };
  Step done = fault("depart.connect");
  if (done.ok()) done = connect_session(home_, stop);
  if (done.ok()) done = fault("depart.take");
  if (done.ok()) {
    std::vector<std::pair<uint32_t, UniqueFd>> channels;
    for (uint32_t i = 0; i < plans_.threads.size(); i++)
      channels.emplace_back(i, session_.link().take_channel(i));
    auto sent = home_.socket->send_channels(channels);
    done = sent ? run(kRemoteTake) : Step(internal(sent.error()));
  }
  if (!done) return done.reason();
  home_.state = OM_MUST(home_.target->home());
  return fault("depart.taken");
}

// The slot of a thread whose call goes on at home.
Step Mover::hand_call_over(StoppedProcess& stop, StoppedThread& t, const ThreadPlan& plan) {
  const uint32_t i = plan.state.slot;
  struct {
    uint64_t sp;
    uint32_t flags, pad;
    uint64_t size;
  } off{0, 2, 0, 0};
  const uint64_t slot = slot_address(home_.arena, i);
  // An executor switches the program's alternate stack off when it starts; a carried-over call cannot.
  OM_MUST_VOID(home_.target->memory.put(slot + kScratch, off));
  auto r = OM_MUST(
      stop.call(t, *home_.target, home_.stack_of(i), SYS_sigaltstack, {slot + kScratch, 0}));
  if (r != 0) return refuse(ReasonCode::kInternal, "sigaltstack in thread {}: {}", t.tid, r);
  HomeThread h = OM_MUST(home_.target->thread(home_.arena, i));
  if (plan.at_home == AtHome::kLate) {
    h.late = 0;
    h.interrupted = 1;
    h.seq_started = 1;
    h.call.seq = 1;
    h.call.wire_flags = kCallWaited | kCallSignals;
    OM_MUST_VOID(home_.target->put_thread(home_.arena, i, h));
    return Done{};
  }
  h.phase = kExecCall;
  h.interrupted = plan.at_home == AtHome::kRestart ? 0 : 1;
  h.seq_started = 1;
  HomeExec& e = h.call;
  e.seq = 1;
  e.nr = e.exec_nr = plan.state.nr;
  e.wire_flags = kCallWaited | kCallSignals;
  std::copy(std::begin(plan.state.args), std::end(plan.state.args), e.program_args);
  std::copy(std::begin(plan.state.args), std::end(plan.state.args), e.exec_args);
  e.transplanted = 1;
  e.deadline_ns = plan.deadline_ns;
  e.started_ns = plan.started_ns;
  const SyscallDesc& desc = syscall_desc(e.nr);
  for (unsigned n = 0; n < desc.nargs; n++) {
    const ArgDesc& arg = arg_desc(desc, find_command(desc, e.program_args), n);
    if (arg.kind != ArgKind::kBuf || arg.len != LenKind::kDeref || e.program_args[arg.len_arg] == 0)
      continue;
    if (auto word = home_.target->memory.get<uint32_t>(e.program_args[arg.len_arg]))
      e.deref_cap[n] = *word;
  }
  OM_MUST_VOID(home_.target->put_thread(home_.arena, i, h));
  return Done{};
}

// The point of no return at home: every thread gets its executor.
Step Mover::send_home_away(StoppedProcess& stop) {
  const Anchor& a = home_.target->anchor;
  for (uint32_t i = 0; i < plans_.threads.size(); i++) {
    if (plans_.threads[i].at_home != AtHome::kIdle)
      OM_STEP(hand_call_over(stop, stop.threads()[i], plans_.threads[i]));
  }
  for (uint32_t i = 0; i < plans_.threads.size(); i++) {
    StoppedThread& t = stop.threads()[i];
    const ThreadPlan& plan = plans_.threads[i];
    user_regs_struct r = t.regs;
    if (plan.at_home != AtHome::kLate) r.rsp = slot_address(home_.arena, i) + kStackTop;
    r.eflags &= ~0x400ull;
    t.changed = true;
    switch (plan.at_home) {
      case AtHome::kLate:
        break;
      case AtHome::kIdle:
        r.rip = a.executor_entry;
        r.orig_rax = ~0ull;
        break;
      case AtHome::kRestart:
        r.rip = a.transplant_end;  // the kernel goes back by the length of a syscall instruction
        break;
      case AtHome::kReissue:
      case AtHome::kContinue:
        r.rip = a.transplant_end;
        r.orig_rax = ~0ull;
        break;
    }
    // The mask first: the registers before are libom's, with a frame. Until the phase says so no executor serves.
    OM_MUST_VOID(t.tracee.set_signal_mask(plan.state.kernel.sigmask));
    OM_MUST_VOID(t.tracee.set_regs(r));
    if (i == 0) OM_STEP(fault("depart.registers"));
  }
  home_.state.phase = kHomeAway;
  OM_MUST_VOID(home_.target->put_home_field(offsetof(HomeState, phase), home_.state.phase));
  OM_STEP(fault("depart.decided"));
  stop.detach();
  return Done{};
}

// After a failure in connect_home or send_home_away: dispositions and descriptors as they were.
void Mover::undo_home(StoppedProcess& stop) {
  auto native = [this] {
    home_.state.phase = kHomeNative;
    (void)home_.target->put_home_field(offsetof(HomeState, phase), home_.state.phase);
  };
  if (!home_.socket || home_.socket->session() < 0) return native();
  StoppedThread& t = stop.threads().front();
  const uint64_t stack = home_.stack_of(0);
  (void)home_.run_remote(stop, t, stack, kRemoteRestore, 0);
  (void)stop.call(t, *home_.target, stack, SYS_close, {static_cast<uint64_t>(home_.state.fd_base)});
  for (uint32_t i = 0; i < plans_.threads.size() && i < stop.threads().size(); i++) {
    const uint64_t scratch = slot_address(home_.arena, i) + kScratch;
    if (home_.target->memory.put(scratch, altstack_of(plans_.threads[i].state.kernel))) {
      StoppedThread& thread = stop.threads()[i];
      (void)stop.call(thread, *home_.target, home_.stack_of(i), SYS_sigaltstack, {scratch, 0});
    }
  }
  native();
}

}  // namespace om::deputy
