// SPDX-License-Identifier: Apache-2.0
//
// Gives the program's memory back to the system, by MADV_DONTNEED so that addresses and the commit charge
// stay. Happens after the first effectful Call of an epoch (until then a rollback resumes from the pages), or
// by the deputy on the way back. The deputy makes the list and leaves out what a blocked call of the program
// still reads or writes.
#include "libom/stub/drop.h"

#include "libom/abi/kernel.h"
#include "libom/safe/atomic.h"
#include "libom/safe/numbers.h"
#include "libom/safe/syscall.h"
#include "libom/stub/stub.h"

namespace om::stub {

namespace {

struct Keep {
  uint64_t lo, hi;
};

// Page ranges that calls use right now, at most `room`.
uint32_t used_ranges(Keep* keep, uint32_t room) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < g_home.slots_ready && n < room; i++) {
    const HomeThread* t = thread_at(i);
    if (t->state != kSlotUsed) continue;
    const Range r = t->call.program_memory;
    if (r.hi > r.lo)
      keep[n++] = {r.lo & ~(kPageSize - 1), (r.hi + kPageSize - 1) & ~(kPageSize - 1)};
  }
  return n;
}

// Locked memory refuses plain MADV_DONTNEED; kernels before 5.18 offer no other way than to unlock it meanwhile.
void discard(uint64_t at, uint64_t bytes) {
  constexpr long kDontneedLocked = 24;
  constexpr uint64_t kOnfault = 1;
  if (safe::sys(kNr_madvise, at, bytes, k::kMadvDontneed) == 0) return;
  if (safe::sys(kNr_madvise, at, bytes, kDontneedLocked) == 0) return;
  const bool unlocked = safe::sys(kNr_munlock, at, bytes) == 0;
  if (safe::sys(kNr_madvise, at, bytes, k::kMadvDontneed) != 0)
    safe::fetch_add(&g_home.drop_failed, 1);
  if (unlocked) safe::sys(kNr_mlock2, at, bytes, kOnfault);
}

void give_back(uint64_t lo, uint64_t hi, const Keep* keep, uint32_t count) {
  while (lo < hi) {
    uint64_t end = hi, next = hi;
    for (uint32_t i = 0; i < count; i++) {
      if (keep[i].hi <= lo || keep[i].lo >= hi) continue;
      if (keep[i].lo <= lo) {
        // Inside a kept range: skip it.
        end = lo;
        next = keep[i].hi;
        break;
      }
      if (keep[i].lo < end) {
        end = keep[i].lo;
        next = keep[i].hi;
      }
    }
    if (end > lo) discard(lo, end - lo);
    lo = next;
  }
}

}  // namespace

// Context: exec
void use_program_memory(HomeExec& e, uint64_t address, uint64_t bytes) {
  e.program_memory = {address, address + bytes};
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  // A drop may have begun before it could see this range: wait for its end, so that any write comes after it.
  while (safe::load_acquire(&g_home.dropped) == 1) safe::sys(kNr_sched_yield);
}

// Context: exec
void drop_memory() {
  if (!safe::compare_exchange(&g_home.dropped, 0u, 1u)) return;
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  constexpr uint32_t kMaxKeep = 256;
  Keep keep[kMaxKeep];
  const uint32_t kept = used_ranges(keep, kMaxKeep);
  if (kept == kMaxKeep) {
    safe::store_release(&g_home.dropped, 0u);  // more calls than `keep` holds: try another time
    return;
  }
  const auto* range = reinterpret_cast<const Range*>(g_home.arena + kControlPlan);
  const uint64_t room = kControlPlanSize / sizeof(Range);
  for (uint64_t i = 0; i < g_home.drop_count && i < room; i++)
    give_back(range[i].lo, range[i].hi, keep, kept);
  safe::store_release(&g_home.dropped, 2u);
}

}  // namespace om::stub
