// SPDX-License-Identifier: Apache-2.0
#include "guest/collector.h"

#include <string.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>
#include <vector>

#include "common/base/fault.h"
#include "common/base/log.h"
#include "common/proc/maps.h"

namespace om::guest {
namespace {

constexpr auto kLookAround = std::chrono::milliseconds(50);

// File memory that the program may have written to; all of it if that is unknown.
std::vector<Description::Mark> written(const BodyState& body) {
  std::vector<Description::Mark> marks;
  bool sound = body.touched_count <= kMaxTouched;
  for (uint64_t i = 0; sound && i < body.touched_count; i++) {
    const auto [lo, hi] = body.touched[i];
    sound = lo % kPageSize == 0 && hi % kPageSize == 0 && lo < hi && hi <= kProgramTop;
    marks.push_back({lo, hi, Description::MarkKind::WRITTEN});
  }
  if (!sound) marks.assign(1, {0, kProgramTop, Description::MarkKind::WRITTEN});
  return marks;
}

Description::Process process_of(const BodyState& body) {
  Description::Process p;
  p.pid = body.home_pid;
  p.ppid = body.home_ppid_hint;
  std::copy(std::begin(body.ids), std::end(body.ids), p.ids.begin());
  p.brk_start = body.brk_start;
  p.brk_now = body.brk_now;
  p.brk_limit = body.brk_limit;
  memcpy(p.uts.data(), body.uts, p.uts.size());
  p.vdso_lo = body.home_vdso_lo;
  p.vdso_hi = body.home_vdso_hi;
  p.caught = body.caught;
  p.fd_size = body.fd_size;
  p.denies_exec = body.denies_exec != 0;
  p.writes_files = body.writes_files != 0;
  return p;
}

}  // namespace

Step Collector::stop(uint32_t generation, bool look, Description& image) {
  OM_TRY(fault("guest.stop"));
  OM_TRY(body_.park(session_, generation, look));
  OM_TRY(describe(image));
  return fault("guest.stopped");
}

// The body's memory is not trusted: nothing from it goes to home that home would refuse.
Step Collector::describe(Description& image) {
  const auto body = OM_MUST(body_.memory().get<BodyState>(body_.bounds().body_state));
  image.epoch = body_.layout().epoch;
  image.xstate = body_.layout().home_xstate;
  OM_TRY(describe_threads(body, image));
  image.marks = written(body);
  image.clocks = describe_clocks(body);
  image.process = process_of(body);
  return describe_stack(body, image);
}

Step Collector::describe_threads(const BodyState& body, Description& image) {
  for (uint32_t slot = 0; slot < std::min(body.slots_ready, body_.bounds().slots); slot++) {
    const BodyThread t = OM_MUST(body_.thread(slot));
    if (t.busy) image.threads.push_back(OM_TRY(describe_thread(slot, t)));
  }
  return {};
}

Verdict<Description::Thread> Collector::describe_thread(uint32_t slot, const BodyThread& t) {
  const BodyLayout& layout = body_.layout();
  Description::Thread thread{{}, std::vector<std::byte>(layout.home_xstate.size)};
  ThreadState& s = thread.state;
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
  std::vector<std::byte> local(layout.local_xstate.size);
  OM_MUST_VOID(body_.memory().read(
      slot_address(layout.bounds.arena, slot) + kSlotFrame + kFrameXsave, local));
  OM_MUST_VOID(convert(layout.local_xstate, local, layout.home_xstate, thread.xsave));
  return thread;
}

Description::Clocks Collector::describe_clocks(const BodyState& body) {
  Description::Clocks to;
  clockid_t cpu;
  if (::clock_getcpuclockid(body_.process().pid(), &cpu) == 0)
    to.cpu_ns = static_cast<uint64_t>(now_ns(cpu));
  // The floors come from the body and are not trusted.
  auto shown = [](int64_t by_page, int64_t floor, int64_t local) {
    int64_t time = 0;
    const bool fits = !__builtin_add_overflow(local, floor, &time) && is_time(time);
    return fits ? std::max(by_page, time) : by_page;
  };
  const int64_t mono = now_ns(CLOCK_MONOTONIC), real = now_ns(CLOCK_REALTIME);
  const Clocks& clocks = body_.clocks();
  to.mono_ns = shown(clocks.body_mono(mono), body.clock.mono_floor_ns, mono);
  to.real_ns = shown(clocks.body_real(mono, real), body.clock.real_floor_ns, real);
  return to;
}

Step Collector::describe_stack(const BodyState& body, Description& image) {
  const uint64_t lo = OM_TRY(stack_low(body)), hi = body_.layout().stack_hi;
  if (lo < hi) {
    image.mappings.push_back(
        {lo, hi, static_cast<uint32_t>(body.stack_prot & 7), Description::MappingKind::STACK});
  }
  return {};
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
  // Home is waiting for pages: after a failure, tell it that no more will come.
  if (!done && !session_.is_over()) kj::runCatchingExceptions([&] { sink.give_up(); });
  return done;
}

// Home keeps asking whether we are still there.
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
  OM_TRY(check_ranges(ranges, maps, wanted));
  const auto pagemap = OM_MUST(proc::Pagemap::open(body_.process().pid()));
  for (const WantedRange& range : wanted) {
    OM_TRY(fault("guest.collect"));
    OM_TRY(send_range(range, pagemap, sink));
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
      if (!run.guard) OM_TRY(send_run(run, range.file, sink));  // home has guard pages, too
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
