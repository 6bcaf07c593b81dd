// SPDX-License-Identifier: Apache-2.0
//
// Address-space calls. The body's kernel does them first (it knows its own free ranges, and they are free at
// home too, because both maps are kept equal); home repeats them in ticket order, and nobody waits for that.
// Only a file mapping needs home at once: the file is there.
//
// File mappings are private copies in a body, and so is shared memory. What depends on the file or object behind
// them (DONTNEED reading it again, growing into more of it, parts that go and may come back), or on pages being
// locked, goes home first; ranges.cc keeps the list of such ranges. A memory object that travels with all its
// mappings (memory.h, MemoryObject) is shared memory here, too: further views are made from the one that has all of it.
#include "libom/gate/vm.h"

#include "libom/abi/kernel.h"
#include "libom/abi/sandbox.h"
#include "libom/gate/channel.h"
#include "libom/gate/forward.h"
#include "libom/gate/functions.h"
#include "libom/gate/gate.h"
#include "libom/gate/ranges.h"
#include "libom/gate/user_memory.h"
#include "libom/safe/call_layout.h"
#include "libom/safe/lock.h"
#include "libom/safe/numbers.h"
#include "libom/safe/syscall.h"

namespace om::gate {
namespace {

using safe::kAborted;
using safe::sys;

constexpr uint64_t kPageMask = kPageSize - 1;
constexpr uint64_t kNoObject = ~uint64_t{0};

bool is_page(uint64_t at) { return (at & kPageMask) == 0; }

bool is_error(long r) { return r < 0 && r > -4096; }

class MmLock {
 public:
  explicit MmLock(BodyThread* t) : held_(safe::lock_window(&g_body.mm_lock, &t->kick) == 0) {}
  ~MmLock() {
    if (held_) safe::unlock(&g_body.mm_lock);
  }
  MmLock(const MmLock&) = delete;
  MmLock& operator=(const MmLock&) = delete;
  bool held() const { return held_; }
  void release() {
    if (held_) safe::unlock(&g_body.mm_lock);
    held_ = false;
  }

 private:
  bool held_;
};

// Whether [lo, hi) can only be unmapped, or mapped over, at home.
bool is_bound(uint64_t lo, uint64_t hi) {
  return cuts_shared(lo, hi) || is_fixed_view(lo, hi) || is_written_back(lo, hi);
}

void post(BodyThread* t, uint32_t nr, uint64_t a, uint64_t b, uint64_t c = 0, uint64_t d = 0,
          uint64_t e = 0, uint64_t f = 0) {
  const uint64_t args[6] = {a, b, c, d, e, f};
  post_home(t, nr, args);
}

// Ends a call that has begun under the lock, before it has changed anything: home decides. This includes what is too
// much for this node, whose limits and memory are not the program's.
long leave_it_to_home(GateCall& c, MmLock& lock) {
  lock.release();
  return come_home(c);
}

// Undoes a mapping for which the kernel went so far down (a terabyte is mapped) that it chose a place which home needs
// for its executors.
long undo_mapping(GateCall& c, MmLock& lock, long at, uint64_t len) {
  sys(kNr_munmap, at, len);
  return leave_it_to_home(c, lock);
}

bool is_free(uint64_t lo, uint64_t len) {
  constexpr uint32_t kPlace =
      k::kMapPrivate | k::kMapAnonymous | k::kMapNoreserve | k::kMapFixedNoreplace;
  const long r = sys(kNr_mmap, lo, len, k::kProtNone, kPlace, -1, 0);
  if (!is_error(r)) sys(kNr_munmap, r, len);
  return r != -k::kEEXIST;
}

// Home has refused the mapping, or leaves it to the program, which then goes home.
long refused_at_home(GateCall& c, MmLock& lock, long result) {
  c.raw_out = nullptr;
  lock.release();
  return after_answer(c, result);
}

// Fetches the contents of a fresh file mapping at [at, at + len), which home has made. Pages beyond the end of the
// file stay inaccessible here: touching one brings the process home, where it is SIGBUS as always.
long fetch_file(GateCall& c, uint64_t at, uint64_t len, uint32_t prot) {
  uint64_t have = 0;
  while (have < len) {
    const uint64_t n = len - have < kPieceBytes ? len - have : kPieceBytes;
    const uint64_t args[6] = {at + have, n, 0, 0, 0, 0};
    c.raw_out = reinterpret_cast<void*>(at + have);
    c.raw_bytes = n;
    const long r = call_home(c, kNrReadHome, args, true);
    c.raw_out = nullptr;
    if (r < 0) return r;
    have += static_cast<uint64_t>(r);
    if (static_cast<uint64_t>(r) < n) break;
  }
  const uint64_t full = page_up(have);
  if (full > 0 && prot != (k::kProtRead | k::kProtWrite)) sys(kNr_mprotect, at, full, prot);
  if (full < len) sys(kNr_mprotect, at + full, len - full, k::kProtNone);
  return 0;
}

// Maps the part of object `which` that home has mapped at [at, at + len).
long map_view(GateCall& c, MmLock& lock, uint64_t which, uint64_t at, uint64_t len, uint32_t prot) {
  forget_ranges(at, at + len);
  const uint64_t offset = c.args[5];
  if (which < g_body.object_count && which < kMaxMemoryObjects) {
    const MemoryObject& o = g_body.objects[which];
    const bool within = offset < page_up(o.bytes);
    if (within && show_object(o.view + offset, at, len, prot) == 0) {
      add_range(at | kRangeObject, at + len);
      return static_cast<long>(at);
    }
  }
  // No memory for it here, or behind its end. Undo the mapping; the program makes it at home.
  sys(kNr_munmap, at, len);
  post(c.thread, kNr_munmap, at, len);
  return leave_it_to_home(c, lock);
}

// The mapping is shared as far as home's kernel is concerned, which decides whatever depends on that.
long map_file(GateCall& c, MmLock& lock, uint64_t len, uint32_t prot, uint32_t flags) {
  BodyThread* t = c.thread;
  // Reserve the place here, let home map the file there, fill it.
  const uint32_t place = (flags & (k::kMapFixed | k::kMapFixedNoreplace | k::kMap32bit)) |
                         k::kMapPrivate | k::kMapAnonymous | k::kMapNoreserve;
  const bool replaces = (flags & k::kMapFixed) && !(flags & k::kMapFixedNoreplace);
  uint64_t object = kNoObject;
  c.raw_out = &object;
  c.raw_bytes = sizeof object;
  if (replaces) {
    // Should home refuse (bad descriptor, ...), the old contents must still be there: ask first.
    const uint64_t args[6] = {c.args[0], c.args[1], c.args[2], c.args[3], c.args[4], c.args[5]};
    const long at_home = call_home(c, kNr_mmap, args, true);
    if (is_error(at_home)) return refused_at_home(c, lock, at_home);
    const long at = sys(kNr_mmap, c.args[0], len, k::kProtRead | k::kProtWrite, place, -1, 0);
    if (is_error(at)) panic("mmap", static_cast<uint64_t>(-at));
  } else {
    const long at = sys(kNr_mmap, c.args[0], len, k::kProtRead | k::kProtWrite, place, -1, 0);
    if (at == -k::kENOMEM) return leave_it_to_home(c, lock);
    if (is_error(at)) return at;
    if (is_lent(static_cast<uint64_t>(at), len)) return undo_mapping(c, lock, at, len);
    c.args[0] = static_cast<uint64_t>(at);
    const uint64_t args[6] = {c.args[0], c.args[1],
                              c.args[2], flags | k::kMapFixedNoreplace | k::kMapFixed,
                              c.args[4], c.args[5]};
    const long at_home = call_home(c, kNr_mmap, args, true);
    if (is_error(at_home)) {
      sys(kNr_munmap, at, len);
      return refused_at_home(c, lock, at_home);
    }
  }
  c.raw_out = nullptr;
  if (object != kNoObject) return map_view(c, lock, object, c.args[0], len, prot);
  forget_ranges(c.args[0], c.args[0] + len);
  add_range(c.args[0], c.args[0] + len);
  if ((flags & k::kMapTypeMask) == k::kMapShared)
    add_range(c.args[0] | kRangeShared, c.args[0] + len);
  if (prot & k::kProtWrite) note_touched(c.args[0], c.args[0] + len);
  (void)t;
  const long r = fetch_file(c, c.args[0], len, prot);
  return r < 0 ? r : static_cast<long>(c.args[0]);
}

}  // namespace

// Context: gate
long gate_mmap(GateCall& c) {
  BodyThread* t = c.thread;
  const uint64_t addr = c.args[0];
  const auto prot = static_cast<uint32_t>(c.args[2]);
  const auto flags = static_cast<uint32_t>(c.args[3]);
  const uint32_t type = flags & k::kMapTypeMask;
  constexpr uint32_t kOnlyAtHome = k::kMapHugetlb | k::kMapSync | k::kMapGrowsdown | k::kMapLocked;
  // Shared: a view of an object or, if it cannot be written through, a copy of a file that home considers steady.
  const bool shared = type == k::kMapShared && !(flags & k::kMapAnonymous) &&
                      (g_body.object_count != 0 || !(prot & k::kProtWrite));
  if ((type != k::kMapPrivate && !shared) || (flags & kOnlyAtHome) != 0) return come_home(c);
  if ((prot & k::kProtExec) && g_body.denies_exec != 0) return come_home(c);
  if (c.args[1] == 0) return -k::kEINVAL;
  if (c.args[1] > (uint64_t{1} << 47)) return -k::kENOMEM;
  const uint64_t len = page_up(c.args[1]);
  const bool fixed = (flags & (k::kMapFixed | k::kMapFixedNoreplace)) != 0;
  // For a file, only home knows whether something else is wrong.
  if (fixed && !is_page(addr)) return flags & k::kMapAnonymous ? -k::kEINVAL : come_home(c);
  if (fixed && is_reserved(addr, len)) return -k::kENOMEM;
  if (addr != 0 && is_lent(addr, len)) return come_home(c);
  if (t->kick) return kPark;
  MmLock lock(t);
  if (!lock.held()) return kPark;
  if ((flags & k::kMapFixed) && is_bound(addr, addr + len)) return leave_it_to_home(c, lock);
  if (!(flags & k::kMapAnonymous)) return map_file(c, lock, len, prot, flags);
  // Other flags mean nothing to the kernel.
  const long at = sys(kNr_mmap, addr, c.args[1], prot, flags & kMayMap, -1, 0);
  if (at == -k::kENOMEM) return leave_it_to_home(c, lock);
  if (is_error(at)) return at;
  if (is_lent(static_cast<uint64_t>(at), len)) return undo_mapping(c, lock, at, len);
  const bool replaces = (flags & k::kMapFixed) && !(flags & k::kMapFixedNoreplace);
  if (replaces) forget_ranges(addr, addr + len);
  constexpr uint32_t kHomeFlags =
      k::kMapPrivate | k::kMapAnonymous | k::kMapNoreserve | k::kMapStack;
  post(t, kNr_mmap, static_cast<uint64_t>(at), len, prot,
       (flags & kHomeFlags) | k::kMapNoreserve | k::kMapFixed |
           (replaces ? 0 : k::kMapFixedNoreplace),
       ~uint64_t{0}, 0);
  return at;
}

// Context: gate
long gate_munmap(GateCall& c) {
  BodyThread* t = c.thread;
  if (is_reserved(c.args[0], c.args[1])) return -k::kEINVAL;
  if (is_lent(c.args[0], c.args[1])) return come_home(c);
  if (t->kick) return kPark;
  MmLock lock(t);
  if (!lock.held()) return kPark;
  const uint64_t end = c.args[0] + page_up(c.args[1]);
  if (is_bound(c.args[0], end)) return leave_it_to_home(c, lock);
  const long r = sys(kNr_munmap, c.args[0], c.args[1]);
  if (r != 0) return r;
  forget_ranges(c.args[0], c.args[0] + page_up(c.args[1]));
  post(t, kNr_munmap, c.args[0], c.args[1]);
  return 0;
}

// Context: gate
long gate_mprotect(GateCall& c) {
  BodyThread* t = c.thread;
  // Only home's kernel can answer for its vDSO and the data beside it.
  if (c.args[0] >= g_body.home_vdso_lo && c.args[0] < g_body.home_vdso_hi) return come_home(c);
  if (!is_page(c.args[0])) return -k::kEINVAL;
  if (is_reserved(c.args[0], c.args[1])) return -k::kENOMEM;
  if (is_lent(c.args[0], c.args[1])) return come_home(c);
  constexpr uint64_t kGrowsDown = 0x01000000, kGrowsUp = 0x02000000;
  if (c.args[2] & (kGrowsDown | kGrowsUp)) return come_home(c);
  if ((c.args[2] & k::kProtExec) && g_body.denies_exec != 0) return come_home(c);
  if (t->kick) return kPark;
  MmLock lock(t);
  if (!lock.held()) return kPark;
  const uint64_t end = c.args[0] + page_up(c.args[1]);
  // Home cannot write the contents of shared memory once it is read-only there.
  if (is_shared(c.args[0], end) || is_fixed_view(c.args[0], end)) return leave_it_to_home(c, lock);
  const bool view = is_object(c.args[0], end);
  if (view) {
    // Only home knows how the descriptor was opened.
    const long at_home = call_home(c, kNr_mprotect, c.args, true);
    if (at_home != 0) return refused_at_home(c, lock, at_home);
  }
  const long r = sys(kNr_mprotect, c.args[0], c.args[1], c.args[2]);
  if (r == -k::kENOMEM) return leave_it_to_home(c, lock);
  if (r != 0) return r;
  if ((c.args[2] & k::kProtWrite) && is_file_range(c.args[0], end)) note_touched(c.args[0], end);
  if (!view) post(t, kNr_mprotect, c.args[0], c.args[1], c.args[2]);
  return 0;
}

// Context: gate
long gate_mremap(GateCall& c) {
  BodyThread* t = c.thread;
  const uint64_t old = c.args[0], old_len = page_up(c.args[1]), new_len = page_up(c.args[2]);
  const auto flags = static_cast<uint32_t>(c.args[3]);
  if (!is_page(old)) return -k::kEINVAL;
  if (is_reserved(old, old_len)) return -k::kEFAULT;
  if ((flags & k::kMremapFixed) && is_reserved(c.args[4], new_len)) return -k::kEINVAL;
  if (is_lent(old, old_len) || ((flags & k::kMremapFixed) && is_lent(c.args[4], new_len)))
    return come_home(c);
  // Duplicating a shared mapping (old length 0), growing into more of a file and leaving a file's range behind need
  // home's mapping.
  if (old_len == 0) return come_home(c);
  if (t->kick) return kPark;
  MmLock lock(t);
  if (!lock.held()) return kPark;
  const uint64_t old_end = old + old_len;
  const bool fixed = (flags & k::kMremapFixed) != 0;
  const bool wants_file = new_len > old_len || (flags & k::kMremapDontunmap);
  if ((wants_file && is_file_range(old, old_end)) || is_shared(old, old_end) ||
      is_object(old, old_end) || is_locked(old, old_end) ||
      (fixed && is_bound(c.args[4], c.args[4] + new_len)))
    return leave_it_to_home(c, lock);
  const bool file = is_file_range(old, old + old_len);
  const long at = sys(kNr_mremap, old, c.args[1], c.args[2], flags, c.args[4]);
  // If the mapping may not move, a neighbour is the usual reason, here as at home.
  if (at == -k::kENOMEM && ((flags & k::kMremapMaymove) ||
                            (new_len > old_len && is_free(old + old_len, new_len - old_len))))
    return leave_it_to_home(c, lock);
  if (is_error(at)) return at;
  const auto where = static_cast<uint64_t>(at);
  if (is_lent(where, new_len)) {
    // Like undo_mapping(): moved or grown, its old pages are the first of the new ones.
    const uint64_t how = where != old ? k::kMremapMaymove | k::kMremapFixed : 0;
    const long back = sys(kNr_mremap, where, new_len, old_len, how, old);
    if (is_error(back)) panic("mremap", static_cast<uint64_t>(-back));
    return leave_it_to_home(c, lock);
  }
  if (where != old && !(flags & k::kMremapDontunmap)) forget_ranges(old, old + old_len);
  if (where == old && new_len < old_len) forget_ranges(old + new_len, old + old_len);
  if (where != old) {
    forget_ranges(where, where + new_len);
    if (file) {
      add_range(where, where + new_len);
      note_touched(where, where + new_len);
    }
  }
  const bool moved = where != old;
  post(t, kNr_mremap, old, c.args[1], c.args[2],
       moved ? k::kMremapMaymove | k::kMremapFixed | (flags & k::kMremapDontunmap) : 0, where);
  return at;
}

// Context: gate
long gate_brk(GateCall& c) {
  BodyThread* t = c.thread;
  const uint64_t want = c.args[0];
  if (t->kick) return kPark;
  MmLock lock(t);
  if (!lock.held()) return kPark;
  if (want < g_body.brk_start) return static_cast<long>(g_body.brk_now);
  const uint64_t from = page_up(g_body.brk_now), to = page_up(want);
  if (want - g_body.brk_start > g_body.brk_limit) return static_cast<long>(g_body.brk_now);
  if (to > from) {
    const long at =
        sys(kNr_mmap, from, to - from, k::kProtRead | k::kProtWrite,
            k::kMapPrivate | k::kMapAnonymous | k::kMapFixedNoreplace | k::kMapNoreserve, -1, 0);
    if (at == -k::kENOMEM) return leave_it_to_home(c, lock);
    if (at != static_cast<long>(from)) {
      if (!is_error(at)) sys(kNr_munmap, at, to - from);
      return static_cast<long>(g_body.brk_now);
    }
  } else if (to < from) {
    sys(kNr_munmap, to, from - to);
  }
  g_body.brk_now = want;
  post(t, kNr_brk, want, 0);
  return static_cast<long>(want);
}

// Context: gate
long gate_madvise(GateCall& c) {
  BodyThread* t = c.thread;
  const auto advice = static_cast<uint32_t>(c.args[2]);
  const uint64_t at = c.args[0], end = at + page_up(c.args[1]);
  if (!is_page(at) || end < at || page_up(c.args[1]) < c.args[1]) return -k::kEINVAL;
  if (is_reserved(at, c.args[1])) return -k::kENOMEM;
  if (is_lent(at, c.args[1])) return come_home(c);
  if (t->kick) return kPark;
  MmLock lock(t);
  if (!lock.held()) return kPark;
  switch (advice) {
    case k::kMadvDontneed:
    case k::kMadvFree:
    case k::kMadvDontneedLocked:
      // A private file mapping would read the file again, which is at home. Shared memory keeps its contents, locked
      // memory refuses.
      if (is_file_range(at, end) || is_shared(at, end) || is_locked(at, end))
        return leave_it_to_home(c, lock);
      return sys(kNr_madvise, c.args[0], c.args[1], c.args[2]);
    case k::kMadvNormal:
    case k::kMadvRandom:
    case k::kMadvSequential:
    case k::kMadvWillneed:
    case k::kMadvCold:
    case k::kMadvPageout:
    case k::kMadvPopulateRead:
    case k::kMadvPopulateWrite:
    case k::kMadvCollapse:
      return sys(kNr_madvise, c.args[0], c.args[1], c.args[2]);
    case k::kMadvDontfork:
    case k::kMadvDofork:
    case k::kMadvMergeable:
    case k::kMadvUnmergeable:
    case k::kMadvHugepage:
    case k::kMadvNohugepage:
    case k::kMadvDontdump:
    case k::kMadvDodump:
    case k::kMadvWipeonfork:
    case k::kMadvKeeponfork: {
      // Properties of the mapping: both sides must have them. Pages are merged only at home; here they get the opposite
      // advice, which reports the same errors in the range.
      const uint32_t here = advice == k::kMadvMergeable ? k::kMadvUnmergeable : advice;
      const long r = sys(kNr_madvise, c.args[0], c.args[1], here);
      if (r == 0) post(t, kNr_madvise, c.args[0], c.args[1], c.args[2]);
      return r;
    }
    default:
      return leave_it_to_home(c, lock);
  }
}

// Context: gate
long gate_msync(GateCall& c) {
  constexpr uint64_t kInvalidate = 2;
  // EBUSY for locked memory, which is locked at home.
  if ((c.args[2] & kInvalidate) && is_locked(c.args[0], c.args[0] + page_up(c.args[1])))
    return come_home(c);
  return sys(kNr_msync, c.args[0], c.args[1], c.args[2]);
}

// Context: gate
long gate_mincore(GateCall& c) {
  make_present(c.args[2], page_up(c.args[1]) / kPageSize);
  return sys(kNr_mincore, c.args[0], c.args[1], c.args[2]);
}

// Extends the place below the stack and the placeholder that keeps other mappings away. What lies in the way limits a
// stack natively, too.
// Context: gate
void grow_stack_room(BodyThread* t, uint64_t limit) {
  constexpr uint32_t kPlace =
      k::kMapPrivate | k::kMapAnonymous | k::kMapNoreserve | k::kMapFixedNoreplace;
  constexpr uint64_t kLeast = 64 << 10;
  MmLock lock(t);
  if (!lock.held()) return;  // a kick: for a move home or signals; the room stays unchanged
  const uint64_t high = g_body.stack_high, low = g_body.stack_low;
  const uint64_t most = limit < kMaxStackRoom ? limit : kMaxStackRoom;
  if (low == 0 || high < most + kStackGap || high - most >= low) return;
  for (uint64_t more = low - ((high - most) & ~kPageMask); more >= kLeast;
       more = (more / 2) & ~kPageMask) {
    const uint64_t start = low - more - kStackGap;
    if (is_lent(start, more) || is_reserved(start, more)) continue;
    const long place = sys(kNr_mmap, start, more, k::kProtNone, kPlace, -1, 0);
    if (place != static_cast<long>(start)) {
      if (!is_error(place)) sys(kNr_munmap, place, more);
      continue;
    }
    constexpr uint32_t kReplace =
        k::kMapPrivate | k::kMapAnonymous | k::kMapNoreserve | k::kMapFixed;
    if (!is_error(sys(kNr_mmap, low - more, more, g_body.stack_prot, kReplace, -1, 0)))
      g_body.stack_low = low - more;
    return;
  }
}

}  // namespace om::gate
