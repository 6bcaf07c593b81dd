// SPDX-License-Identifier: Apache-2.0
#include "deputy/home/target.h"

#include <errno.h>
#include <signal.h>

#include <chrono>
#include <thread>

#include "common/movable/preload.h"
#include "common/proc/process.h"
#include "common/proc/stat.h"
#include "common/proc/status.h"
#include "libom/abi/anchor.h"
#include "libom/abi/body.h"
#include "libom/abi/home.h"

namespace om::deputy {
namespace {

bool inside(const Anchor& a, uint64_t address) {
  return address >= a.image_lo && address < a.image_hi;
}

bool plausible(const Anchor& a, uint64_t base) {
  const uint64_t code[] = {a.inject,      a.transplant,     a.transplant_end, a.window_lo,
                           a.window_end,  a.executor_entry, a.orphan_entry,   a.remote_entry,
                           a.catcher,     a.restorer,       a.body_entry,     a.home_state,
                           a.body_state,  a.first_inject,   a.first_aid,      a.continue_call,
                           a.clock_return};
  if (a.image_lo != base || a.image_hi <= a.image_lo || a.image_hi - a.image_lo > (64u << 20))
    return false;
  if (a.gate_lo < a.image_lo || a.gate_hi > a.image_hi || a.gate_lo >= a.gate_hi) return false;
  if ((a.gate_lo >> 32) != ((a.gate_hi - 1) >> 32)) return false;
  for (uint64_t address : code) {
    if (!inside(a, address)) return false;
  }
  if (a.first_aid + sizeof(FirstAid) > a.image_hi) return false;
  if (a.clock_return_end < a.clock_return || !inside(a, a.clock_return_end)) return false;
  return a.home_state + sizeof(HomeState) <= a.image_hi &&
         a.body_state + sizeof(BodyState) <= a.image_hi;
}

}  // namespace

Result<void> Target::reread_maps() {
  maps = OM_TRY(proc::read_maps(proc::memory_tid(pid)));
  return {};
}

bool has_ended(pid_t pid) {
  constexpr uint64_t kKill = uint64_t{1} << (SIGKILL - 1);
  constexpr std::chrono::milliseconds kLook(2), kLastThread(200);
  const auto until = std::chrono::steady_clock::now() + kLastThread;
  for (;;) {
    const auto tasks = proc::list_tasks(pid);
    if (!tasks) return tasks.error().err == ESRCH || tasks.error().err == ENOENT;
    size_t ended = 0, killed = 0;
    for (pid_t tid : *tasks) {
      const auto status = proc::read_status(tid);
      const auto stat = proc::read_stat(tid);
      if (!status || !stat || stat->is_ending()) {
        ended++;
      } else if (((status->sig_pending | status->sig_pending_shared) & kKill) != 0) {
        killed++;
      }
    }
    if (ended == tasks->size()) return true;
    if ((ended == 0 && killed == 0) || std::chrono::steady_clock::now() >= until) return false;
    std::this_thread::sleep_for(kLook);
  }
}

Verdict<Target> open_target(pid_t pid) {
  const pid_t shown = proc::memory_tid(pid);
  auto maps = proc::read_maps(shown);
  if (!maps) {
    if (maps.error().err == ESRCH || maps.error().err == ENOENT)
      return refuse(ReasonCode::kNoSuchProcess, "{}", pid);
    return internal(maps.error());
  }
  auto memory = ProcessMemory::open(shown);
  // A process that is ending has no memory any more, and what is left of it belongs to root: EACCES.
  if ((maps->empty() || !memory) && has_ended(pid))
    return refuse(ReasonCode::kNoSuchProcess, "{}", pid);
  if (!memory) {
    if (memory.error().err == ESRCH || memory.error().err == ENOENT)
      return refuse(ReasonCode::kNoSuchProcess, "{}", pid);
    return refuse(ReasonCode::kNotDumpable, "{}", memory.error().text());
  }
  const auto base = find_preload(*maps);
  if (!base) return refuse(ReasonCode::kNotPreloaded, "no libom.so is mapped");
  auto at = find_note(*memory, *base, kNoteAnchor);
  if (!at) return refuse(ReasonCode::kNotPreloaded, "{}", at.error().what);
  auto anchor = memory->get<Anchor>(*at);
  if (!anchor || anchor->magic != kAnchorMagic)
    return refuse(ReasonCode::kNotPreloaded, "its libom.so is damaged");
  if (anchor->abi != kAnchorAbi) {
    return refuse(ReasonCode::kVersion, "its libom.so has layout {}, this deputy knows {}",
                  anchor->abi, kAnchorAbi);
  }
  if (!plausible(*anchor, *base))
    return refuse(ReasonCode::kNotPreloaded, "its libom.so is damaged");
  return Target{pid, std::move(*memory), *anchor, std::move(*maps)};
}

}  // namespace om::deputy
