// SPDX-License-Identifier: Apache-2.0
//
// Keeper::stop and what follows: the body stands still, is described and sent home; or goes on.
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include <fmt/format.h>

#include <algorithm>

#include "common/base/fault.h"
#include "common/base/log.h"
#include "common/image/bulk.h"
#include "common/proc/maps.h"
#include "common/proc/pagemap.h"
#include "common/proc/process.h"
#include "common/proc/stat.h"
#include "guest/keeper.h"

namespace om::guest {
namespace {

constexpr int kKickSignal = SIGURG;
constexpr auto kParkLimit = std::chrono::seconds(5);
constexpr auto kKickAgain = std::chrono::milliseconds(5);
constexpr auto kLook = 100 * kj::MICROSECONDS;
constexpr auto kLookAround = std::chrono::milliseconds(50);
constexpr auto kKickLater = 1 * kj::MILLISECONDS;

int64_t now_ns(clockid_t clock) {
  timespec ts{};
  ::clock_gettime(clock, &ts);
  return ts.tv_sec * int64_t{1000000000} + ts.tv_nsec;
}

char state_of(pid_t tid) {
  const auto stat = proc::read_stat(tid);
  return stat ? stat->state : '-';
}

bool is_zero(const std::byte* page) {
  static constexpr std::byte kZeros[kPageSize] = {};
  return memcmp(page, kZeros, kPageSize) == 0;
}

}  // namespace

Step Keeper::stop(uint32_t generation, bool look, schema::BodyImage::Builder state) {
  OM_STEP(fault("guest.stop"));
  if (!is_running() || !body_.running()) return refuse(ReasonCode::kInternal, "the body has ended");
  if (paused_ && !look)
    return refuse(ReasonCode::kStopped, "the process is stopped by job control");
  if (generation == 0) return refuse(ReasonCode::kInternal, "generation 0");
  OM_MUST_VOID(put_state(offsetof(BodyState, stop), generation));
  if (paused_ || held_) {
    // The kicks first: threads of a body that goes on have them before anything of the program.
    body_.signal_all(kKickSignal);
    body_.signal_thread(body_.pid(), SIGCONT);
    held_ = false;
  }
  Step parked = wait_parked(generation);
  if (!parked.ok()) {
    static_cast<void>(let_go_on());
    return parked;
  }
  auto body = body_.memory().get<BodyState>(bounds_.body_state);
  if (!body) return internal(body.error());
  std::vector<std::pair<uint32_t, BodyThread>> threads;
  for (uint32_t slot = 0; slot < std::min(body->slots_ready, bounds_.slots); slot++) {
    auto t = thread(slot);
    if (!t) return internal(t.error());
    if (t->busy) threads.emplace_back(slot, *t);
  }
  auto list = state.initThreads(static_cast<unsigned>(threads.size()));
  for (unsigned i = 0; i < threads.size(); i++) {
    OM_STEP(describe_thread(threads[i].first, threads[i].second, list[i]));
  }
  const bool all = body->touched_count > kMaxTouched;
  state.setTouchedAll(all);
  auto touched = state.initTouched(all ? 0 : static_cast<unsigned>(body->touched_count));
  for (unsigned i = 0; i < touched.size(); i++) {
    touched[i].setLo(body->touched[i].lo);
    touched[i].setHi(body->touched[i].hi);
  }
  state.setBrkNow(body->brk_now);
  state.setCalls(body->calls);
  clockid_t cpu;
  if (::clock_getcpuclockid(body_.pid(), &cpu) == 0)
    state.setCpuNs(static_cast<uint64_t>(now_ns(cpu)));
  const int64_t mono = now_ns(CLOCK_MONOTONIC);
  // The floors are the body's word.
  auto shown = [&](int64_t by_page, int64_t floor, int64_t local) {
    int64_t time = 0;
    const bool fits = !__builtin_add_overflow(local, floor, &time) && is_time(time);
    return fits ? std::max(by_page, time) : by_page;
  };
  const int64_t real = now_ns(CLOCK_REALTIME);
  state.setMonoNs(shown(clocks_.body_mono(mono), body->clock.mono_floor_ns, mono));
  state.setRealNs(shown(clocks_.body_real(mono, real), body->clock.real_floor_ns, real));
  // How far the stack has been used; the program may have raised its limit.
  if (body->stack_low % kPageSize == 0 && body->stack_low < stack_lo_ &&
      stack_hi_ - body->stack_low <= kMaxStackRoom)
    stack_lo_ = body->stack_low;
  uint64_t low = stack_hi_;
  if (auto pagemap = proc::Pagemap::open(body_.pid())) {
    for (uint64_t at = stack_lo_; at < stack_hi_; at += kScanBytes) {
      check_home();
      auto runs = pagemap->runs(at, std::min(at + kScanBytes, stack_hi_));
      if (!runs) return internal(runs.error());
      if (runs->empty()) continue;
      low = runs->front().start;
      break;
    }
  }
  state.setStackLow(low);
  OM_STEP(fault("guest.stopped"));
  parked_ = true;
  return {};
}

Step Keeper::wait_parked(uint32_t generation) {
  const auto start = std::chrono::steady_clock::now();
  auto kicked = start - kKickAgain;
  // Looked at twice: a thread that was not parked at the first look may have made another behind our back.
  bool all_before = false;
  for (;;) {
    if (!body_.running()) return refuse(ReasonCode::kInternal, "the body has ended");
    auto ready =
        body_.memory().get<uint32_t>(bounds_.body_state + offsetof(BodyState, slots_ready));
    if (!ready) return internal(ready.error());
    bool all = true;
    std::vector<BodyThread> late;
    for (uint32_t slot = 0; slot < std::min(*ready, bounds_.slots); slot++) {
      auto t = thread(slot);
      if (!t) return internal(t.error());
      if (!t->busy) continue;
      if (t->phase == kBodyParked && t->park_seen == generation) continue;
      all = false;
      late.push_back(*t);
    }
    if (all && all_before) return {};
    all_before = all;
    if (all) continue;
    const auto now = std::chrono::steady_clock::now();
    if (now - start > kParkLimit) {
      const BodyThread& t = late.front();
      return refuse(ReasonCode::kUninterruptible,
                    "{} threads of the body do not stand still; slot {}: phase {}, call {} ({}), "
                    "thread {} state {}",
                    late.size(), t.slot, t.phase, t.call_nr, t.call_sent ? "sent" : "not sent",
                    t.body_tid, state_of(t.body_tid));
    }
    if (now - kicked >= kKickAgain) {
      for (const BodyThread& t : late) body_.signal_thread(t.body_tid, kKickSignal);
      kicked = now;
    }
    wait(io_.provider->getTimer().afterDelay(kLook));
  }
}

Step Keeper::describe_thread(uint32_t slot, const BodyThread& t, schema::Thread::Builder to) {
  ThreadState s{};
  s.slot = slot;
  s.tid = t.home_tid;
  s.kind = t.kind;
  s.nr = t.call_nr;
  memcpy(s.args, t.call_args, sizeof s.args);
  s.seq = t.seq;
  s.returned = t.returned;
  memcpy(s.regs, t.regs, sizeof s.regs);
  s.kernel = t.kernel;
  s.xstate_bytes = home_xstate_.size;
  s.cpu_ns = t.cpu_ns;
  std::vector<std::byte> local(local_xstate_.size), home(home_xstate_.size);
  OM_MUST_VOID(
      body_.memory().read(slot_address(bounds_.arena, slot) + kSlotFrame + kFrameXsave, local));
  OM_MUST_VOID(convert(local_xstate_, local, home_xstate_, home));
  to.setState(kj::arrayPtr(reinterpret_cast<const kj::byte*>(&s), sizeof s));
  to.setXsave(kj::arrayPtr(reinterpret_cast<const kj::byte*>(home.data()), home.size()));
  return {};
}

Step Keeper::collect(capnp::List<schema::Range>::Reader ranges, uint64_t& pages, uint64_t& bytes) {
  Step sent = send_pages(ranges, pages, bytes);
  if (!sent) end_pages();
  return sent;
}

Step Keeper::send_pages(capnp::List<schema::Range>::Reader ranges, uint64_t& pages,
                        uint64_t& bytes) {
  if (!is_running() || !parked_)
    return refuse(ReasonCode::kInternal, "home's calls are out of order");
  auto maps = proc::read_maps(body_.pid());
  if (!maps) return internal(maps.error());
  add_object_places(*maps);
  std::vector<WantedRange> wanted;
  OM_STEP(check_ranges(ranges, *maps, wanted));
  auto pagemap = proc::Pagemap::open(body_.pid());
  if (!pagemap) return internal(pagemap.error());
  uint64_t frames = 0;
  std::vector<std::byte> buffer(kBulkMaxBytes);
  // Home asks meanwhile whether we are still there.
  auto looked_around = std::chrono::steady_clock::now();
  auto look_around = [&] {
    if (const auto now = std::chrono::steady_clock::now(); now - looked_around > kLookAround) {
      check_home();
      looked_around = now;
    }
  };
  auto write = [&](const BulkHeader& h, const std::byte* data) {
    const kj::ArrayPtr<const kj::byte> parts[] = {
        kj::arrayPtr(reinterpret_cast<const kj::byte*>(&h), sizeof h),
        kj::arrayPtr(reinterpret_cast<const kj::byte*>(data), data != nullptr ? h.bytes : 0)};
    wait(bulk_->write(kj::arrayPtr(parts, data != nullptr ? 2 : 1)));
    look_around();
    if (h.kind != kBulkEnd) frames++;
  };
  auto zeros = [&](uint64_t lo, uint64_t hi) {
    while (lo < hi) {
      const auto n = static_cast<uint32_t>(std::min<uint64_t>(hi - lo, kBulkMaxBytes));
      write({kBulkZero, n, lo}, nullptr);
      lo += n;
    }
  };
  // Runs of contents within what has been read; zero pages between them matter only where home has a file.
  auto contents = [&](uint64_t at, const std::byte* data, size_t n, bool file) {
    size_t i = 0;
    while (i < n) {
      size_t end = i + kPageSize;
      const bool zero = is_zero(data + i);
      while (end < n && is_zero(data + end) == zero) end += kPageSize;
      if (!zero) {
        write({kBulkData, static_cast<uint32_t>(end - i), at + i}, data + i);
        pages += (end - i) / kPageSize;
        bytes += end - i;
      } else if (file) {
        zeros(at + i, at + end);
      }
      i = end;
    }
  };
  for (const WantedRange& range : wanted) {
    OM_STEP(fault("guest.collect"));
    const uint64_t lo = range.lo, hi = range.hi;
    uint64_t done = lo;
    for (uint64_t looked = lo; looked < hi;) {
      std::vector<proc::PageRun> runs;
      if (is_in_object(lo, hi)) {
        auto all = object_runs(lo, hi);
        if (!all) return internal(all.error());
        runs = std::move(*all);
        looked = hi;
      } else {
        auto next = pagemap->some_runs(looked, hi, runs);
        if (!next) return internal(next.error());
        looked = *next;
      }
      for (const auto& run : runs) {
        if (range.file) zeros(done, run.start);
        done = run.end;
        if (run.guard) continue;  // home has it, too
        for (uint64_t at = run.start; at < run.end;) {
          const size_t want = std::min<uint64_t>(run.end - at, buffer.size());
          const size_t got =
              body_.memory().read_some(at, std::span(buffer).first(want)) & ~(kPageSize - 1);
          if (got == 0)
            return refuse(ReasonCode::kInternal, "the body's memory at {:#x} cannot be read", at);
          contents(at, buffer.data(), got, range.file);
          at += got;
        }
      }
      look_around();
    }
    if (range.file) zeros(done, range.hi);
  }
  write({kBulkEnd, 0, frames}, nullptr);
  return {};
}

Step Keeper::resume() {
  Step gone_on = let_go_on();
  renew_bulk();  // home may have given up in the middle of the pages
  return gone_on;
}

Step Keeper::let_go_on() {
  if (!is_running()) return refuse(ReasonCode::kInternal, "home's calls are out of order");
  parked_ = false;
  if (paused_) stop_parked_body();
  const uint32_t none = 0;
  OM_MUST_VOID(put_state(offsetof(BodyState, stop), none));
  body_.signal_all(kKickSignal);
  return {};
}

// Job control has stopped it, and it was made to go on so that it could be looked at: the other way round.
void Keeper::stop_parked_body() {
  body_.signal_thread(body_.pid(), SIGSTOP);
  const auto limit = std::chrono::steady_clock::now() + kParkLimit;
  auto running = [this] {
    auto tids = proc::list_tasks(body_.pid());
    return tids && std::any_of(tids->begin(), tids->end(), [](pid_t tid) {
             const char state = state_of(tid);
             return state == 'R' || state == 'S';
           });
  };
  while (running() && std::chrono::steady_clock::now() < limit)
    wait(io_.provider->getTimer().afterDelay(kLook));
}

// Home waits for pages: after a failure there are no more.
void Keeper::end_pages() {
  const BulkHeader none{kBulkEnd, 0, UINT64_MAX};
  if (!is_running() || session_over_) return;
  kj::runCatchingExceptions([&] { wait(bulk_->write(&none, sizeof none)); });
}

// Another page connection, for the next homecoming.
void Keeper::renew_bulk() {
  if (!is_running()) return;
  KJ_IF_MAYBE (exception, kj::runCatchingExceptions([&] {
                 bulk_ = wait(link_.connect(kPreambleBulk, HomeLink::kAttempts));
               })) {
    log_warn("keeper", "{}, no connection for pages", exception->getDescription().cStr());
  }
}

void Keeper::kick(capnp::List<uint32_t>::Reader slots) {
  if (slots.size() > kMaxSlots) return;
  for (uint32_t slot : slots) kick_slot(slot);
}

// A thread that is still being made has a twin at home, which may get signals already: it is kicked when it is there.
void Keeper::kick_slot(uint32_t slot) {
  if (slot >= bounds_.slots || !is_running()) return;
  auto t = thread(slot);
  if (!t || !t->busy) return;
  if (t->body_tid > 0) return body_.signal_thread(t->body_tid, kKickSignal);
  if (!late_.insert(slot).second) return;
  tasks_.add(io_.provider->getTimer().afterDelay(kKickLater).then([this, slot] {
    late_.erase(slot);
    kick_slot(slot);
  }));
}

void Keeper::pause(bool on) {
  if (!is_running() || !body_.running() || on == paused_) return;
  paused_ = on;
  body_.signal_thread(body_.pid(), on ? SIGSTOP : SIGCONT);
}

}  // namespace om::guest
