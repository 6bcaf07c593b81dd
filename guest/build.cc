// SPDX-License-Identifier: Apache-2.0
//
// Keeper::build to commit: from home's description to a running body. Everything that home says is checked
// against the address space first; what is then written into the body concerns the guest only.
#include <errno.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include <fmt/format.h>

#include <algorithm>

#include "common/base/fault.h"
#include "common/base/log.h"
#include "common/elf/vdso.h"
#include "common/image/bulk.h"
#include "common/proc/maps.h"
#include "guest/keeper.h"
#include "libom/abi/anchor.h"
#include "libom/abi/plan.h"

namespace om::guest {
namespace {

constexpr auto kBodyAnswers = 20 * kj::SECONDS;
constexpr auto kChannelLimit = 10 * kj::SECONDS;

int64_t now_ns(clockid_t clock) {
  timespec ts{};
  ::clock_gettime(clock, &ts);
  return ts.tv_sec * int64_t{1000000000} + ts.tv_nsec;
}

XstateTable to_table(const XstateLayout& layout) {
  XstateTable t{};
  t.size = layout.size;
  t.count = std::size(t.component);
  t.xcr0 = layout.xcr0;
  for (size_t i = 0; i < std::size(t.component); i++)
    t.component[i] = {layout.comp[i].offset, layout.comp[i].size};
  return t;
}

// What a process may have grown by between the offer and its stop.
constexpr uint64_t kGrowth = 256 << 20;

uint64_t most_pages(uint64_t offered) {
  return (offered + std::max(offered / 4, kGrowth)) / kPageSize;
}

struct LocalVdso {
  uint64_t lo = 0, hi = 0;  // group of vvar and vdso in the fresh body
  uint64_t text = 0;        // start of the vdso mapping
};

}  // namespace

Step Keeper::build(schema::Image::Reader image) {
  return advance(Phase::kPrepared, Phase::kBuilt, [&] { return build_body(image); });
}

Step Keeper::build_body(schema::Image::Reader image) {
  OM_STEP(fault("guest.build"));
  if (!body_.running()) return refuse(ReasonCode::kInternal, "the body has ended");
  OM_STEP(check_image(image, bounds_));
  auto layout = read_layout(image.getXstate());
  if (!layout) return internal(layout.error());
  home_xstate_ = *layout;
  epoch_ = image.getEpoch();
  const int64_t mono = now_ns(CLOCK_MONOTONIC), real = now_ns(CLOCK_REALTIME);
  clocks_.start(image.getHomeMonoNs(), image.getHomeRealNs(), mono, real);

  OM_STEP(write_state(image));
  OM_STEP(write_plan(image));
  OM_STEP(write_threads(image));

  OM_STEP(make_objects(image.getObjects()));
  BodyMessage enter{};
  enter.type = kBodyEnter;
  enter.a = bounds_.body_entry;
  enter.b = slot_address(bounds_.arena, 0);
  enter.c = segments_.size();
  OM_MUST_VOID(body_.send(enter, segments_.data(), segments_.size() * sizeof segments_[0]));
  OM_STEP(expect(kBodyRestored, "rebuild the address space"));
  OM_STEP(fault("guest.restored"));

  std::vector<BulkPlaces::Place> places;
  for (auto m : image.getMappings()) {
    if (m.getKind() == kKindMemory || m.getKind() == kKindStack)
      places.push_back({m.getLo(), m.getHi()});
    if (m.getKind() == kKindStack) {
      stack_lo_ = m.getLo();
      stack_hi_ = m.getHi();
    }
  }
  for (const Object& o : objects_) places.push_back({o.view, o.view + page_up(o.bytes)});
  places_ = BulkPlaces(std::move(places));
  filled_pages_ = 0;
  most_pages_ = most_pages(offered_);
  fill_failed_.reset();
  filling_ = fill().eagerlyEvaluate([this](kj::Exception&& e) {
    if (!fill_failed_)
      fill_failed_ = refuse(ReasonCode::kTargetUnreachable, "{}", e.getDescription().cStr());
  });
  return open_channels(image.getThreads().size());
}

// A body that the kernel kills meanwhile is the cause of whatever has failed; one that ends by itself has answered.
Step Keeper::attempt(const std::function<Step()>& step) {
  Step outcome;
  kj::Maybe<kj::Exception> broken = kj::runCatchingExceptions([&] { outcome = step(); });
  if (broken == nullptr && outcome.ok()) return outcome;
  const bool ended = body_.has_ended();
  const std::string how = fmt::format("the body was {}", body_.how_it_ended());
  if (ended && body_.ran_out_of_memory()) return refuse(ReasonCode::kNoMemory, "{}", how);
  KJ_IF_MAYBE (exception, broken) {
    if (ended) return refuse(ReasonCode::kInternal, "{}", how);
    kj::throwFatalException(kj::mv(*exception));
  }
  return outcome;
}

Step Keeper::advance(Phase from, Phase to, const std::function<Step()>& step) {
  if (phase_ != from) return refuse(ReasonCode::kInternal, "home's calls are out of order");
  phase_ = Phase::kBroken;
  Step outcome = attempt(step);
  if (outcome.ok()) phase_ = to;
  return outcome;
}

// Waits for one message of the body and its result.
Step Keeper::expect(uint32_t type, const char* what) {
  const BodyMessage m = wait(io_.provider->getTimer().timeoutAfter(kBodyAnswers, body_.receive()));
  if (m.type != type)
    return refuse(ReasonCode::kInternal, "the body does not follow the protocol ({})", what);
  const auto result = static_cast<int64_t>(m.a);
  if (result == -ENOMEM) return refuse(ReasonCode::kNoMemory, "the body could not {}", what);
  if (result != 0) {
    return refuse(ReasonCode::kInternal, "the body could not {} at {:#x}: {}", what, m.b,
                  ::strerror(static_cast<int>(-result)));
  }
  return {};
}

Step Keeper::write_plan(schema::Image::Reader image) {
  auto maps = proc::read_maps(body_.pid());
  if (!maps) return internal(maps.error());
  LocalVdso vdso;
  std::vector<PlanEntry> before, after;
  for (const auto& m : *maps) {
    if (m.kind == proc::MapKind::kVsyscall || bounds_.hit(m.start, m.end)) continue;
    if (m.kind == proc::MapKind::kVvar || m.kind == proc::MapKind::kVdso) {
      if (vdso.lo == 0) vdso.lo = m.start;
      vdso.hi = m.end;
      if (m.kind == proc::MapKind::kVdso) vdso.text = m.start;
      before.push_back(
          {m.start, m.end, kPlanMoveVdso, 0, bounds_.arena + kControlVdso + (m.start - vdso.lo)});
      continue;
    }
    before.push_back({m.start, m.end, kPlanUnmap, 0, 0});
  }
  if (vdso.hi - vdso.lo > kControlVdsoSize)
    return refuse(ReasonCode::kInternal, "this kernel's vDSO is too large");
  for (auto m : image.getMappings()) {
    const bool reserve = m.getKind() == kKindReserve;
    const bool view = m.getKind() == kKindView;
    const PlanKind kind = reserve ? kPlanReserve : view ? kPlanView : kPlanMap;
    before.push_back({m.getLo(), m.getHi(), kind, 0, view ? m.getView() : 0});
    const uint32_t prot = m.getProt() & 7;
    if (!reserve && prot != (PROT_READ | PROT_WRITE))
      after.push_back({m.getLo(), m.getHi(), kPlanProtect, prot, 0});
  }
  for (auto g : image.getGuards()) after.push_back({g.getLo(), g.getHi(), kPlanGuard, 0, 0});
  if (before.size() + after.size() > kMaxPlanEntries)
    return refuse(ReasonCode::kNoMemory, "too many mappings");
  RestorePlan head{kPlanMagic, static_cast<uint32_t>(before.size()),
                   static_cast<uint32_t>(after.size())};
  uint64_t at = bounds_.arena + kControlPlan;
  auto put = [&](const void* data, size_t bytes) -> Result<void> {
    auto r = body_.memory().write(at, std::span(static_cast<const std::byte*>(data), bytes));
    at += bytes;
    return r;
  };
  OM_MUST_VOID(put(&head, sizeof head));
  OM_MUST_VOID(put(before.data(), before.size() * sizeof(PlanEntry)));
  OM_MUST_VOID(put(after.data(), after.size() * sizeof(PlanEntry)));

  // The local vDSO's functions, where they will be.
  uint64_t functions[8] = {};
  if (vdso.text != 0) {
    std::vector<std::byte> code(vdso.hi - vdso.text);
    OM_MUST_VOID(body_.memory().read(vdso.text, code));
    auto parsed = parse_vdso(code);
    if (!parsed) return internal(parsed.error());
    const uint64_t moved = bounds_.arena + kControlVdso + (vdso.text - vdso.lo);
    const std::pair<VdsoFunction, const char*> wanted[] = {
        {kVdsoClockGettime, "__vdso_clock_gettime"},
        {kVdsoGettimeofday, "__vdso_gettimeofday"},
        {kVdsoTime, "__vdso_time"},
        {kVdsoGetcpu, "__vdso_getcpu"},
        {kVdsoClockGetres, "__vdso_clock_getres"}};
    for (const auto& [function, name] : wanted) {
      if (const VdsoSymbol* symbol = parsed->find(name))
        functions[function] = moved + symbol->offset;
    }
  }
  const uint64_t lo = bounds_.arena + kControlVdso, hi = lo + (vdso.hi - vdso.lo);
  OM_MUST_VOID(body_.memory().write(bounds_.body_state + offsetof(BodyState, local_vdso),
                                    std::as_bytes(std::span(functions))));
  OM_MUST_VOID(put_state(offsetof(BodyState, local_vdso_lo), lo));
  OM_MUST_VOID(put_state(offsetof(BodyState, local_vdso_hi), hi));
  return {};
}

Step Keeper::write_state(schema::Image::Reader image) {
  auto state = std::make_unique<BodyState>();
  BodyState& s = *state;
  s.epoch = epoch_;
  s.nslots = bounds_.slots;
  s.arena = bounds_.arena;
  s.nthreads = image.getThreads().size();
  s.slots_ready = s.nthreads;
  s.home_pid = image.getPid();
  s.home_ppid_hint = image.getPpid();
  auto ids = image.getIds();
  for (unsigned i = 0; i < 8; i++) s.ids[i] = ids[i];
  s.brk_start = image.getBrkStart();
  s.brk_now = image.getBrkNow();
  s.brk_limit = image.getBrkLimit();
  s.caught = image.getCaught();
  s.fd_size = image.getFdSize();
  s.denies_exec = image.getDeniesExec() ? 1 : 0;
  s.home_xstate = to_table(home_xstate_);
  s.local_xstate = to_table(local_xstate_);
  s.home_vdso_lo = image.getVdsoLo();
  s.home_vdso_hi = image.getVdsoHi();
  s.clock = clocks_.page(now_ns(CLOCK_MONOTONIC));
  s.clock.mono_floor_ns = s.clock.real_floor_ns = INT64_MIN;
  for (auto m : image.getMappings()) {
    if (m.getKind() != kKindStack) continue;
    s.stack_low = m.getLo();
    s.stack_high = m.getHi();
    s.stack_prot = m.getProt() & 7;
  }
  s.writes_files = image.getWritesFiles() ? 1 : 0;
  s.pins = 1;
  auto objects = image.getObjects();
  s.object_count = objects.size();
  for (unsigned i = 0; i < objects.size(); i++)
    s.objects[i] = {0, 0, objects[i].getView(), objects[i].getBytes(), objects[i].getIsOpen()};
  auto files = image.getFileRanges();
  s.file_range_count = files.size() <= kMaxFileRanges ? files.size() : kMaxFileRanges + 1;
  for (unsigned i = 0; i < files.size() && i < kMaxFileRanges; i++)
    s.file_ranges[i] = {files[i].getLo(), files[i].getHi()};
  memcpy(s.uts, image.getUts().begin(), sizeof s.uts);
  OM_MUST_VOID(body_.memory().put(bounds_.body_state, s));
  return {};
}

Step Keeper::write_threads(schema::Image::Reader image) {
  uint32_t slot = 0;
  for (auto t : image.getThreads()) {
    ThreadState s{};
    if (t.getState().size() != sizeof s)
      return refuse(ReasonCode::kInternal, "a thread's state is incomplete");
    memcpy(&s, t.getState().begin(), sizeof s);
    if (s.slot != slot) return refuse(ReasonCode::kInternal, "threads are out of order");
    std::vector<std::byte> area(home_xstate_.size);
    const auto x = t.getXsave();
    std::copy_n(x.begin(), std::min<size_t>(area.size(), x.size()),
                reinterpret_cast<kj::byte*>(area.data()));
    std::vector<std::byte> local(local_xstate_.size);
    if (auto r = convert(home_xstate_, area, local_xstate_, local); !r) {
      return r.error().err == ENOTSUP ? refuse(ReasonCode::kCpuFeature, "{}", r.error().what)
                                      : internal(r.error());
    }
    BodyThread b{};
    const uint64_t base = slot_address(bounds_.arena, slot);
    b.self = base + kSlotBlock;
    b.gate_sp = base + kSlotStack + kSlotStackSize - 64;
    b.slot = slot;
    b.home_tid = s.tid;
    b.channel_fd = -1;
    b.busy = 1;
    b.kind = s.kind;
    memcpy(b.regs, s.regs, sizeof b.regs);
    b.seq = s.seq;
    b.call_nr = s.nr;
    memcpy(b.call_args, s.args, sizeof b.call_args);
    b.call_seq = s.seq;
    b.call_sent = s.kind == kThreadWaiting ? 1 : 0;
    b.kernel = s.kernel;
    OM_MUST_VOID(body_.memory().put(thread_address(slot), b));
    OM_MUST_VOID(body_.memory().write(base + kSlotFrame + kFrameXsave, local));
    slot++;
  }
  return {};
}

Step Keeper::open_channels(uint32_t count) {
  for (uint32_t slot = 0; slot < count; slot++) {
    UniqueFd fd = wait(io_.provider->getTimer().timeoutAfter(
        kChannelLimit, link_.channel(slot, epoch_, HomeLink::kAttempts)));
    BodyMessage m{};
    m.type = kBodyChannel;
    m.slot = slot;
    OM_MUST_VOID(body_.send(m, nullptr, 0, fd.get()));
  }
  return {};
}

// Reads frames into the body until the end mark.
kj::Promise<void> Keeper::fill() {
  return bulk_->read(&frame_, sizeof frame_).then([this]() -> kj::Promise<void> {
    if (frame_.kind == kBulkEnd) return kj::READY_NOW;
    if (frame_.kind != kBulkData || !places_.holds(frame_)) {
      fill_failed_ =
          refuse(ReasonCode::kInternal, "home sent a page for a place that it did not describe");
      bulk_->abortRead();
      return kj::READY_NOW;
    }
    return bulk_->read(frame_data_.begin(), frame_.bytes).then([this]() -> kj::Promise<void> {
      const auto data = std::as_bytes(std::span(frame_data_.begin(), frame_.bytes));
      if (fault_at("guest.page"))
        fill_failed_ = refuse(ReasonCode::kInternal, "{}", fault_text("guest.page"));
      // Home writes until its end mark: what cannot be used any more is taken all the same.
      if (fill_failed_) return fill();
      filled_pages_ += frame_.bytes / kPageSize;
      if (filled_pages_ > most_pages_) {
        fill_failed_ =
            refuse(ReasonCode::kNoMemory, "it has grown beyond what was offered; try again");
        return fill();
      }
      if (auto r = body_.memory().write(frame_.address, data); !r)
        fill_failed_ = internal(r.error());
      return fill();
    });
  });
}

Step Keeper::filled(uint64_t pages) {
  return advance(Phase::kBuilt, Phase::kFilled, [&] { return make_threads(pages); });
}

Step Keeper::make_threads(uint64_t pages) {
  wait(kj::mv(filling_));
  filling_ = nullptr;
  if (fill_failed_) return *fill_failed_;
  OM_STEP(fault("guest.filled"));
  if (filled_pages_ != pages) {
    return refuse(ReasonCode::kInternal, "{} pages arrived of {}", filled_pages_, pages);
  }
  BodyMessage m{};
  m.type = kBodyFilled;
  OM_MUST_VOID(body_.send(m));
  return expect(kBodyReady, "make its threads");
}

Step Keeper::commit(uint32_t epoch, int64_t home_mono, int64_t home_real) {
  OM_STEP(fault("guest.commit"));
  if (phase_ != Phase::kFilled)
    return refuse(ReasonCode::kInternal, "home's calls are out of order");
  if (epoch != epoch_) return refuse(ReasonCode::kInternal, "COMMIT for another epoch");
  if (!is_time(home_mono) || !is_time(home_real))
    return refuse(ReasonCode::kInternal, "home has no clock");
  const int64_t local_mono = now_ns(CLOCK_MONOTONIC);
  clocks_.sample(home_mono, home_real, local_mono, now_ns(CLOCK_REALTIME));
  clocks_.jump(local_mono);
  write_clock();
  BodyMessage m{};
  m.type = kBodyCommit;
  OM_MUST_VOID(body_.send(m));
  phase_ = Phase::kRunning;
  return {};
}

void Keeper::write_clock() {
  if (!body_.has_memory()) return;
  ClockPage page = clocks_.page(now_ns(CLOCK_MONOTONIC));
  const uint64_t at = bounds_.body_state + offsetof(BodyState, clock);
  auto sequence = body_.memory().get<uint32_t>(at);
  if (!sequence) return;
  // Odd while the values change, as a reader expects of a sequence lock.
  const uint32_t odd = *sequence | 1, even = odd + 1;
  page.sequence = odd;
  const auto ours = std::as_bytes(std::span(&page, 1)).first(offsetof(ClockPage, mono_floor_ns));
  if (!body_.memory().put(at, odd) || !body_.memory().write(at, ours) ||
      !body_.memory().put(at, even)) {
    log_warn("clock", "the body's clock page cannot be written, ignoring");
  }
}

}  // namespace om::guest
