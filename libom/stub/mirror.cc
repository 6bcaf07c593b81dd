// SPDX-License-Identifier: Apache-2.0
//
// The address space at home follows the body's: home repeats its calls at the same addresses. For most of them
// nobody waits, so a call that home cannot repeat (memory limits) never fails the program. It is put on record,
// later calls queue up behind it, and all of them are tried again in order with the next call and by the deputy
// before a homecoming, which is refused until everything is done.
#include "libom/stub/mirror.h"

#include "libom/abi/kernel.h"
#include "libom/safe/atomic.h"
#include "libom/safe/lock.h"
#include "libom/safe/numbers.h"
#include "libom/safe/syscall.h"
#include "libom/stub/stub.h"

namespace om::stub {
namespace {

long issue(const MirrorCall& m) {
  const uint64_t* a = m.args;
  const long r = safe::sys(m.nr, a[0], a[1], a[2], a[3], a[4], a[5]);
  if (m.nr == kNr_brk) return r == static_cast<long>(a[0]) ? r : -k::kENOMEM;
  return r;
}

bool failed(const MirrorCall& m, long r) {
  // Advice changes nothing that a homecoming needs: the pages come from the body.
  return r < 0 && r > -4096 && m.nr != kNr_madvise;
}

// Repeats the calls on record, oldest first, up to the first that fails again. The lock is held.
bool repeat() {
  const auto count = static_cast<uint32_t>(g_home.mirror_failed);
  uint32_t done = 0;
  while (done < count && done < kMaxMirrorCalls &&
         !failed(g_home.mirror[done], issue(g_home.mirror[done])))
    done++;
  for (uint32_t i = done; i < count && i < kMaxMirrorCalls; i++)
    g_home.mirror[i - done] = g_home.mirror[i];
  safe::store_release(&g_home.mirror_failed, count - done);
  return count == done;
}

}  // namespace

// Context: exec
long mirror_call(const MirrorCall& m, bool waited) {
  const safe::LockGuard guard(&g_home.mirror_lock);
  const uint64_t before = g_home.mirror_failed;
  const bool in_order = before == 0 || (before <= kMaxMirrorCalls && repeat());
  if (waited || in_order) {
    const long r = issue(m);
    if (waited || !failed(m, r)) return r;
  }
  // More calls than there is room for are beyond repair: the count stays above the room.
  if (g_home.mirror_failed < kMaxMirrorCalls) g_home.mirror[g_home.mirror_failed] = m;
  if (g_home.mirror_failed <= kMaxMirrorCalls)
    safe::store_release(&g_home.mirror_failed, g_home.mirror_failed + 1);
  return -k::kENOMEM;
}

// Context: exec
long repeat_mirror_calls() {
  const safe::LockGuard guard(&g_home.mirror_lock);
  if (g_home.mirror_failed > kMaxMirrorCalls) return -k::kENOMEM;
  return g_home.mirror_failed == 0 || repeat() ? 0 : -k::kENOMEM;
}

}  // namespace om::stub
