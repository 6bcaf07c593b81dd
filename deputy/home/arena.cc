// SPDX-License-Identifier: Apache-2.0
#include "deputy/home/arena.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <algorithm>
#include <memory>

#include "common/base/log.h"
#include "common/movable/preflight.h"
#include "common/proc/process.h"
#include "deputy/home/frames.h"
#include "libom/abi/home.h"
#include "libom/abi/thread.h"
#include "libom/abi/trace.h"

namespace om::deputy {
namespace {

Step must(const Result<int64_t>& r, const char* what) {
  if (!r) return internal(r.error());
  // EAGAIN: the process locks all memory that it maps.
  if (*r == -ENOMEM || *r == -EAGAIN)
    return refuse(ReasonCode::kHomeMemory, "{}: {}", what, strerror(static_cast<int>(-*r)));
  if (*r < 0 && *r > -4096) return internal(Error{static_cast<int>(-*r), what});
  return Done{};
}

}  // namespace

Step set_up_arena(HomeSide& home, StoppedProcess& stop, const ThreadPlans& plans) {
  StoppedThread& t = stop.threads().front();
  const bool late = plans.threads.front().at_home == AtHome::kLate;
  const ResumeFrame aid =
      late ? executor_frame(t)
           : frame_of(t.ahead ? *t.ahead : plans.threads.front().resume, t.kernel.sigmask);
  OM_MUST_VOID(
      home.target->memory.put(home.target->anchor.first_aid + offsetof(FirstAid, frame), aid));
  const auto count = static_cast<uint32_t>(plans.threads.size());
  if (home.state.arena == 0) {
    // There is no stack of ours yet: a bare call needs none.
    auto r = stop.first_call(
        t, *home.target, SYS_mmap,
        {home.arena, arena_bytes(home.state.nslots), PROT_NONE,
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, ~0ull, 0});
    OM_TRY(must(r, "reserve libom's memory"));
    if (static_cast<uint64_t>(*r) != home.arena)
      return refuse(ReasonCode::kInternal, "the place for libom's memory was taken");
    home.state.arena = home.arena;
    home.state.slots_ready = 0;
    OM_MUST_VOID(home.target->put_home_field(offsetof(HomeState, arena), home.arena));
    OM_MUST_VOID(home.target->put_home_field(offsetof(HomeState, nslots), home.state.nslots));
    OM_TRY(must(stop.first_call(t, *home.target, SYS_mprotect,
                                {home.arena, kControlSize, PROT_READ | PROT_WRITE}),
                "prepare libom's memory"));
  }
  while (home.state.slots_ready < count) {
    OM_TRY(must(stop.first_call(t, *home.target, SYS_mprotect,
                                {slot_address(home.arena, home.state.slots_ready) + kSlotGuard,
                                 kSlotSize - kSlotGuard, PROT_READ | PROT_WRITE}),
                "prepare libom's memory"));
    home.state.slots_ready++;
  }
  OM_MUST_VOID(
      home.target->put_home_field(offsetof(HomeState, slots_ready), home.state.slots_ready));
  // Call counts start over with each stay away.
  if (OM_MUST(home.target->memory.get<uint64_t>(home.arena + kControlTrace)) != 0) {
    auto empty = std::make_unique<TraceArea>();
    OM_MUST_VOID(home.target->memory.put(home.arena + kControlTrace, *empty));
  }
  // Slots of future threads start counting their calls over, as the body does.
  for (uint32_t i = count; i < home.state.slots_ready; i++) {
    HomeThread h{};
    h.slot = i;
    h.channel.fd = -1;
    OM_MUST_VOID(home.target->put_thread(home.arena, i, h));
  }
  return Done{};
}

void give_arena_back(HomeSide& home, StoppedProcess& stop) {
  const uint64_t at = home.state.arena, none = 0;
  const auto tasks = proc::list_tasks(home.pid);
  if (at == 0 || !tasks || stop.threads().empty() || stop.threads().size() != tasks->size()) return;
  for (auto& t : stop.threads()) {
    auto regs = t.tracee.regs();
    if (!regs) return;
    t.regs = *regs;
    if (home.is_in_arena(t)) return;
  }
  StoppedThread& t = stop.threads().front();
  auto mask = t.tracee.signal_mask();
  if (!mask) return;
  t.kernel.sigmask = *mask;
  if (!home.target->memory.put(home.target->anchor.first_aid + offsetof(FirstAid, frame),
                               executor_frame(t)) ||
      !home.target->put_home_field(offsetof(HomeState, arena), none))
    return;
  home.state.arena = 0;
  const auto r = stop.first_call(t, *home.target, SYS_munmap, {at, arena_bytes(home.state.nslots)});
  if (!r || *r != 0) log_warn("arena", "process {}: libom's memory cannot be given back", home.pid);
  (void)t.tracee.set_signal_mask(t.kernel.sigmask);
  (void)t.tracee.set_regs(t.regs);
}

Step choose_descriptors(HomeSide& home) {
  auto nofile = OM_MUST(proc::read_limit(home.pid, RLIMIT_NOFILE));
  const auto fds = OM_MUST(proc::list_fds(proc::memory_tid(home.pid)));
  const auto first = find_descriptors(fds, nofile.rlim_max, home.state.nslots + 1);
  if (!first)
    return refuse(ReasonCode::kFdLimit, "{} numbers in a row are needed", home.state.nslots + 1);
  home.fd_base = *first;
  home.state.row_is_full = nofile.rlim_cur > static_cast<rlim_t>(*first);
  // Matches by name, in whatever /proc; libom looks at each file itself.
  constexpr std::string_view kShowMemory[] = {"mem",          "pagemap",   "smaps",
                                              "smaps_rollup", "numa_maps", "clear_refs"};
  home.state.memory_files = std::any_of(fds.begin(), fds.end(), [&](const proc::FdEntry& fd) {
    const std::string_view name = std::string_view(fd.target).substr(fd.target.rfind('/') + 1);
    return std::find(std::begin(kShowMemory), std::end(kShowMemory), name) != std::end(kShowMemory);
  });
  return Done{};
}

}  // namespace om::deputy
