// SPDX-License-Identifier: Apache-2.0
#include "test/fuzz/guest_world.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "common/proc/pagemap.h"
#include "common/proc/process_memory.h"
#include "guest/body_process.h"
#include "guest/home_link.h"
#include "libom/abi/body.h"
#include "libom/abi/plan.h"
#include "test/fuzz/fuzz.h"

namespace om::fuzz {
namespace {

World* g_world;

// Reads the plan: the world gets the mappings that om-body would finally make.
void read_plan(World& w) {
  const uint64_t at = w.arena + kControlPlan;
  auto read = [&](uint64_t from, auto& to) {
    auto it = w.pages.find(from & ~(kPageSize - 1));
    const uint64_t offset = from % kPageSize;
    auto* bytes = reinterpret_cast<std::byte*>(&to);
    for (size_t i = 0; i < sizeof to; ++i) {
      const uint64_t page = (from + i) & ~(kPageSize - 1);
      if (it == w.pages.end() || it->first != page) it = w.pages.find(page);
      bytes[i] = it == w.pages.end() ? std::byte{0} : it->second[(offset + i) % kPageSize];
    }
  };
  RestorePlan head{};
  read(at, head);
  require(head.magic == kPlanMagic && uint64_t{head.before} + head.after <= kMaxPlanEntries);
  for (uint32_t i = 0; i < head.before; ++i) {
    PlanEntry e{};
    read(at + sizeof head + i * sizeof e, e);
    require(e.lo < e.hi);
    proc::Mapping m;
    m.start = e.lo;
    m.end = e.hi;
    if (e.kind == kPlanMap || e.kind == kPlanReserve) w.maps.push_back(m);
  }
  std::sort(w.maps.begin(), w.maps.end(),
            [](const auto& a, const auto& b) { return a.start < b.start; });
  w.may_write_all = false;
}

// Stops every thread where it is.
void park(World& w) {
  auto memory = ProcessMemory::open(1);
  auto state = memory->get<BodyState>(w.body_state);
  for (uint32_t slot = 0; slot < std::min(state->slots_ready, state->nslots); ++slot) {
    const uint64_t at = slot_address(w.arena, slot) + kSlotBlock;
    auto t = memory->get<BodyThread>(at);
    t->phase = kBodyParked;
    t->park_seen = state->stop;
    t->body_tid = 1;
    (void)memory->put(at, *t);
  }
}

}  // namespace

World& world() { return *g_world; }

World::World() { g_world = this; }
World::~World() { g_world = nullptr; }

bool Time::wait() {
  auto next = timer.nextEvent();
  require(next != nullptr);
  KJ_IF_MAYBE (when, next) {
    timer.advanceTo(*when);
  }
  return false;
}

bool World::mapped(uint64_t lo, uint64_t hi) const {
  for (const auto& m : maps) {
    if (m.start <= lo && lo < m.end) lo = m.end;
    if (lo >= hi) return true;
  }
  return false;
}

}  // namespace om::fuzz

// The clock of this world is that of its timers.
std::chrono::steady_clock::time_point std::chrono::_V2::steady_clock::now() noexcept {
  const int64_t ns = om::fuzz::g_world == nullptr ? 0 : om::fuzz::world().time.now_ns();
  return time_point(std::chrono::nanoseconds(ns));
}

namespace om {

Result<ProcessMemory> ProcessMemory::open(pid_t pid) { return ProcessMemory(pid, UniqueFd()); }

size_t ProcessMemory::read_some(uint64_t address, std::span<std::byte> to) const {
  size_t done = 0;
  while (done < to.size() && address + done < fuzz::World::kTop) {
    const uint64_t at = address + done;
    const size_t n = std::min<size_t>(to.size() - done, kPageSize - at % kPageSize);
    auto it = fuzz::world().pages.find(at & ~(kPageSize - 1));
    if (it == fuzz::world().pages.end()) {
      memset(to.data() + done, 0, n);
    } else {
      memcpy(to.data() + done, it->second.data() + at % kPageSize, n);
    }
    done += n;
  }
  return done;
}

Result<void> ProcessMemory::read(uint64_t address, std::span<std::byte> to) const {
  if (read_some(address, to) == to.size()) return {};
  return Error{EFAULT, "read"};
}

Result<void> ProcessMemory::write(uint64_t address, std::span<const std::byte> from) const {
  fuzz::World& w = fuzz::world();
  if (address >= fuzz::World::kTop || from.size() > fuzz::World::kTop - address)
    return Error{EFAULT, "write"};
  fuzz::require(w.may_write_all || w.mapped(address, address + from.size()));
  for (size_t done = 0; done < from.size();) {
    const uint64_t at = address + done;
    const size_t n = std::min<size_t>(from.size() - done, kPageSize - at % kPageSize);
    memcpy(w.pages[at & ~(kPageSize - 1)].data() + at % kPageSize, from.data() + done, n);
    done += n;
  }
  return {};
}

namespace proc {

Result<std::vector<Mapping>> read_maps(pid_t) { return fuzz::world().maps; }

Result<Pagemap> Pagemap::open(pid_t pid, PagemapWay way) { return Pagemap(pid, UniqueFd(), way); }

Result<void> Pagemap::for_each_run(uint64_t start, uint64_t end,
                                   const std::function<void(const PageRun&)>& visit) const {
  fuzz::require(start % kPageSize == 0 && end % kPageSize == 0 && start <= end);
  auto& pages = fuzz::world().pages;
  for (auto it = pages.lower_bound(start); it != pages.end() && it->first < end;) {
    PageRun run{it->first, it->first};
    for (; it != pages.end() && it->first == run.end && run.end < end; ++it) run.end += kPageSize;
    visit(run);
  }
  return {};
}

Result<std::vector<PageRun>> Pagemap::runs(uint64_t start, uint64_t end) const {
  std::vector<PageRun> found;
  (void)for_each_run(start, end, [&](const PageRun& run) { found.push_back(run); });
  return found;
}

Result<uint64_t> Pagemap::some_runs(uint64_t start, uint64_t end,
                                    std::vector<PageRun>& found) const {
  (void)for_each_run(start, end, [&](const PageRun& run) { found.push_back(run); });
  return end;
}

}  // namespace proc

namespace guest {

Result<FreshProcess> FreshProcess::fork(const std::string&, proc::Isolation) {
  return plain_error("there are no processes here");
}
FreshProcess::~FreshProcess() = default;

BodyProcess::BodyProcess(kj::AsyncIoContext& io, std::function<void(uint32_t)> on_need_channel)
    : io_(io),
      on_need_channel_(std::move(on_need_channel)),
      tasks_(kj::heap<kj::TaskSet>(errors_)) {}
BodyProcess::~BodyProcess() noexcept(false) = default;

Result<void> BodyProcess::start(const std::string&, const BodyPlan& plan) {
  if (plan.cpus == 0) return Error{ERANGE, "no CPU that home has too"};
  pid_ = 1;
  end_.ended = false;
  return {};
}

Result<void> BodyProcess::open_memory() {
  memory_ = OM_TRY(ProcessMemory::open(pid_));
  return {};
}

void BodyProcess::kill() {
  end_.ended = true;
  memory_.reset();
  mail_.messages.clear();
}

void BodyProcess::end(const std::string& reason) {
  end_.ended = true;
  end_.how = reason;
}

Result<void> BodyProcess::send(const BodyMessage& message, const void*, size_t, int) {
  fuzz::World& w = fuzz::world();
  BodyMessage answer{};
  answer.a = static_cast<uint64_t>(w.result);
  switch (message.type) {
    case kBodyLaunch:
      w.arena = message.c;
      w.maps.assign(2, {});
      w.maps[0].start = message.a;
      w.maps[0].end = message.b;
      w.maps[1].start = message.c;
      w.maps[1].end = message.c + message.d;
      answer.type = kBodyMapped;
      break;
    case kBodyEnter:
      fuzz::read_plan(w);
      answer.type = kBodyRestored;
      break;
    case kBodyFilled:
      answer.type = kBodyReady;
      break;
    default:
      return {};
  }
  mail_.messages.push_back(answer);
  return {};
}

kj::Promise<BodyMessage> BodyProcess::receive() {
  if (mail_.messages.empty()) return kj::NEVER_DONE;
  const BodyMessage m = mail_.messages.front();
  mail_.messages.pop_front();
  return kj::cp(m);
}

kj::Promise<std::string> BodyProcess::ended() {
  if (end_.ended) return kj::cp(end_.how);
  return kj::NEVER_DONE;
}
bool BodyProcess::has_ended() { return pid_ > 0 && end_.ended; }
void BodyProcess::signal_thread(pid_t, int sig) const {
  if (running() && sig == SIGURG) fuzz::park(fuzz::world());
}
void BodyProcess::signal_leader(int sig) const { signal_thread(1, sig); }
void BodyProcess::signal_all(int sig) const { signal_thread(1, sig); }
void BodyProcess::pin_thread(pid_t tid, const std::vector<uint64_t>& mask) const {
  fuzz::require(running() && tid > 0 && mask.size() <= CPU_SETSIZE / 64);
}
void BodyProcess::Errors::taskFailed(kj::Exception&&) {}

Dialer::Dialer(kj::AsyncIoContext& io, const Address& home, const SessionTerms& terms,
               SessionCipher cipher)
    : io_(io),
      home_(home),
      pass_(Pass::make(terms, kPartyKeeper, kPartyDeputy).value()),
      cipher_(cipher) {}

kj::Promise<kj::Own<kj::AsyncIoStream>> Dialer::connect(const To& to, int) {
  return kj::evalLater([to] { return fuzz::world().connect(to.kind); });
}

kj::Promise<void> HomeLink::connect_pages() {
  return dialer_.connect({kPreambleBulk, member_}, Dialer::kAttempts)
      .then([this](kj::Own<kj::AsyncIoStream>&& stream) { pages_ = kj::mv(stream); });
}

kj::Promise<ChannelEnd> HomeLink::channel(uint32_t, uint32_t, int) {
  return ChannelEnd{UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC)), {}};
}

void HomeLink::cut_channels() {}
bool HomeLink::has_channel() const { return false; }
std::vector<uint32_t> HomeLink::broken_channels() const { return {0}; }

}  // namespace guest
}  // namespace om
