// SPDX-License-Identifier: Apache-2.0
#include "guest/collector.h"

#include <string.h>

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "common/base/fault.h"
#include "common/base/log.h"
#include "common/proc/maps.h"

namespace om::guest {
namespace {

constexpr auto kLookAround = std::chrono::milliseconds(50);

}  // namespace

Step Collector::stop(uint32_t generation, bool look, schema::BodyImage::Builder state) {
  OM_STEP(fault("guest.stop"));
  OM_STEP(body_.park(session_, generation, look));
  OM_STEP(describe(state));
  return fault("guest.stopped");
}

Step Collector::describe(schema::BodyImage::Builder state) {
  const auto body = OM_MUST(body_.memory().get<BodyState>(body_.bounds().body_state));
  OM_STEP(describe_threads(body, state));
  const bool all = body.touched_count > kMaxTouched;
  state.setTouchedAll(all);
  auto touched = state.initTouched(all ? 0 : static_cast<unsigned>(body.touched_count));
  for (unsigned i = 0; i < touched.size(); i++) {
    touched[i].setLo(body.touched[i].lo);
    touched[i].setHi(body.touched[i].hi);
  }
  state.setBrkNow(body.brk_now);
  state.setCalls(body.calls);
  describe_clocks(body, state);
  state.setStackLow(OM_STEP(stack_low(body)));
  return {};
}

Step Collector::describe_threads(const BodyState& body, schema::BodyImage::Builder state) {
  std::vector<std::pair<uint32_t, BodyThread>> threads;
  for (uint32_t slot = 0; slot < std::min(body.slots_ready, body_.bounds().slots); slot++) {
    const BodyThread t = OM_MUST(body_.thread(slot));
    if (t.busy) threads.emplace_back(slot, t);
  }
  auto list = state.initThreads(static_cast<unsigned>(threads.size()));
  for (unsigned i = 0; i < threads.size(); i++)
    OM_STEP(describe_thread(threads[i].first, threads[i].second, list[i]));
  return {};
}

Step Collector::describe_thread(uint32_t slot, const BodyThread& t, schema::Thread::Builder to) {
  const BodyLayout& layout = body_.layout();
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
  s.xstate_bytes = layout.home_xstate.size;
  s.cpu_ns = t.cpu_ns;
  std::vector<std::byte> local(layout.local_xstate.size), home(layout.home_xstate.size);
  OM_MUST_VOID(body_.memory().read(
      slot_address(layout.bounds.arena, slot) + kSlotFrame + kFrameXsave, local));
  OM_MUST_VOID(convert(layout.local_xstate, local, layout.home_xstate, home));
  to.setState(kj::arrayPtr(reinterpret_cast<const kj::byte*>(&s), sizeof s));
  to.setXsave(kj::arrayPtr(reinterpret_cast<const kj::byte*>(home.data()), home.size()));
  return {};
}

void Collector::describe_clocks(const BodyState& body, schema::BodyImage::Builder state) {
  clockid_t cpu;
  if (::clock_getcpuclockid(body_.process().pid(), &cpu) == 0)
    state.setCpuNs(static_cast<uint64_t>(now_ns(cpu)));
  // The floors are the body's word.
  auto shown = [](int64_t by_page, int64_t floor, int64_t local) {
    int64_t time = 0;
    const bool fits = !__builtin_add_overflow(local, floor, &time) && is_time(time);
    return fits ? std::max(by_page, time) : by_page;
  };
  const int64_t mono = now_ns(CLOCK_MONOTONIC), real = now_ns(CLOCK_REALTIME);
  const Clocks& clocks = body_.clocks();
  state.setMonoNs(shown(clocks.body_mono(mono), body.clock.mono_floor_ns, mono));
  state.setRealNs(shown(clocks.body_real(mono, real), body.clock.real_floor_ns, real));
}

// How far the stack has been used; the program may have raised its limit.
Verdict<uint64_t> Collector::stack_low(const BodyState& body) {
  BodyLayout& layout = body_.layout();
  if (body.stack_low % kPageSize == 0 && body.stack_low < layout.stack_lo &&
      layout.stack_hi - body.stack_low <= kMaxStackRoom)
    layout.stack_lo = body.stack_low;
  auto pagemap = proc::Pagemap::open(body_.process().pid());
  if (!pagemap) return layout.stack_hi;
  for (uint64_t at = layout.stack_lo; at < layout.stack_hi; at += kScanBytes) {
    session_.look_around();
    const auto runs = OM_MUST(pagemap->runs(at, std::min(at + kScanBytes, layout.stack_hi)));
    if (!runs.empty()) return runs.front().start;
  }
  return layout.stack_hi;
}

Step Collector::collect(capnp::List<schema::Range>::Reader ranges, PageCounts& sent) {
  if (!body_.is_running()) return refuse(ReasonCode::kInternal, "home's calls are out of order");
  PageSink sink(link_.pages(), [this](kj::Promise<void>&& written) {
    session_.wait(kj::mv(written));
    look_around();
  });
  looked_around_ = std::chrono::steady_clock::now();
  Step done = send(ranges, sink);
  sent = sink.counts();
  // Home waits for pages: after a failure there are no more.
  if (!done && !session_.is_over()) kj::runCatchingExceptions([&] { sink.give_up(); });
  return done;
}

// Home asks meanwhile whether we are still there.
void Collector::look_around() {
  const auto now = std::chrono::steady_clock::now();
  if (now - looked_around_ <= kLookAround) return;
  session_.look_around();
  looked_around_ = now;
}

Step Collector::send(capnp::List<schema::Range>::Reader ranges, PageSink& sink) {
  if (!body_.is_parked()) return refuse(ReasonCode::kInternal, "home's calls are out of order");
  auto maps = OM_MUST(proc::read_maps(body_.process().pid()));
  body_.objects().add_places(maps);
  std::vector<WantedRange> wanted;
  OM_STEP(check_ranges(ranges, maps, wanted));
  const auto pagemap = OM_MUST(proc::Pagemap::open(body_.process().pid()));
  for (const WantedRange& range : wanted) {
    OM_STEP(fault("guest.collect"));
    OM_STEP(send_range(range, pagemap, sink));
  }
  sink.end();
  return {};
}

// Zero pages between runs matter only where home has a file.
Step Collector::send_range(const WantedRange& range, const proc::Pagemap& pagemap, PageSink& sink) {
  uint64_t done = range.lo;
  for (uint64_t looked = range.lo; looked < range.hi;) {
    std::vector<proc::PageRun> runs;
    if (body_.objects().contain(range.lo, range.hi)) {
      runs = OM_MUST(body_.objects().runs(range.lo, range.hi));
      looked = range.hi;
    } else {
      looked = OM_MUST(pagemap.some_runs(looked, range.hi, runs));
    }
    for (const auto& run : runs) {
      if (range.file) sink.zeros(done, run.start);
      done = run.end;
      if (!run.guard) OM_STEP(send_run(run, range.file, sink));  // home has guard pages, too
    }
    look_around();
  }
  if (range.file) sink.zeros(done, range.hi);
  return {};
}

Step Collector::send_run(const proc::PageRun& run, bool file, PageSink& sink) {
  for (uint64_t at = run.start; at < run.end;) {
    const auto room = sink.buffer(run.end - at);
    const size_t got = body_.memory().read_some(at, room) & ~(kPageSize - 1);
    if (got == 0)
      return refuse(ReasonCode::kInternal, "the body's memory at {:#x} cannot be read", at);
    sink.pages(at, room.first(got), file);
    at += got;
  }
  return {};
}

Step Collector::resume() {
  Step gone_on = body_.let_go_on(session_);
  renew_pages();  // home may have given up in the middle of the pages
  return gone_on;
}

// Another page connection, for the next homecoming.
void Collector::renew_pages() {
  if (!body_.is_running()) return;
  KJ_IF_MAYBE (exception,
               kj::runCatchingExceptions([&] { session_.wait(link_.connect_pages()); })) {
    log_warn("keeper", "{}, no connection for pages", exception->getDescription().cStr());
  }
}

}  // namespace om::guest
