// SPDX-License-Identifier: Apache-2.0
//
// Address-space calls. The body's kernel does them first (it knows its own free ranges, and they are free at
// home too, because both maps are kept equal); home repeats them in ticket order without being waited for.
// Only a file mapping needs home at once: the file is there.
//
// File mappings are private copies in a body, and so is shared memory. What depends on the file or object behind
// them (DONTNEED reading it again, growing into more of it, parts that go and may come back), or on pages being
// locked, goes home first; the list of such ranges is kept in file_ranges.
#include "libom/abi/kernel.h"
#include "libom/gate/channel.h"
#include "libom/gate/functions.h"
#include "libom/gate/gate.h"
#include "libom/safe/lock.h"
#include "libom/safe/marshal.h"
#include "libom/safe/mem.h"
#include "libom/safe/numbers.h"
#include "libom/safe/syscall.h"

namespace om::gate {
namespace {

using safe::kAborted;
using safe::sys;

constexpr uint64_t kPageMask = kPageSize - 1;

bool is_page(uint64_t at) { return (at & kPageMask) == 0; }
uint64_t page_up(uint64_t n) { return (n + kPageMask) & ~kPageMask; }

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

bool overlaps(uint64_t a_lo, uint64_t a_hi, uint64_t b_lo, uint64_t b_hi) {
  return a_lo < b_hi && b_lo < a_hi;
}

uint64_t start_of(const Range& r) { return r.lo & ~kRangeMarks; }

// Does [lo, hi) touch a range that is on the list for the reason `mark`.
bool is_marked(uint64_t lo, uint64_t hi, uint64_t mark) {
  if (g_body.file_range_count > kMaxFileRanges) return true;
  for (uint64_t i = 0; i < g_body.file_range_count; i++) {
    const Range& r = g_body.file_ranges[i];
    if ((r.lo & kRangeMarks) == mark && overlaps(lo, hi, start_of(r), r.hi)) return true;
  }
  return false;
}

bool is_file_range(uint64_t lo, uint64_t hi) { return is_marked(lo, hi, 0); }
bool is_shared(uint64_t lo, uint64_t hi) { return is_marked(lo, hi, kRangeShared); }
bool is_locked(uint64_t lo, uint64_t hi) { return is_marked(lo, hi, kRangeLocked); }

// Would shared memory without [lo, hi) still be there. mremap can then show the part again.
bool cuts_shared(uint64_t lo, uint64_t hi) {
  if (g_body.file_range_count > kMaxFileRanges) return true;
  for (uint64_t i = 0; i < g_body.file_range_count; i++) {
    const Range& r = g_body.file_ranges[i];
    if ((r.lo & kRangeMarks) == kRangeShared && overlaps(lo, hi, start_of(r), r.hi) &&
        (lo > start_of(r) || hi < r.hi))
      return true;
  }
  return false;
}

void add_file_range(uint64_t lo, uint64_t hi) {
  uint64_t& n = g_body.file_range_count;
  if (n < kMaxFileRanges) g_body.file_ranges[n] = {lo, hi};
  n = n < kMaxFileRanges ? n + 1 : kMaxFileRanges + 1;
}

// [lo, hi) is no longer memory of that kind: unmapped or mapped over.
void forget_file_range(uint64_t lo, uint64_t hi) {
  if (g_body.file_range_count > kMaxFileRanges) return;
  for (uint64_t i = 0; i < g_body.file_range_count;) {
    Range& r = g_body.file_ranges[i];
    const uint64_t marks = r.lo & kRangeMarks;
    if (!overlaps(lo, hi, start_of(r), r.hi)) {
      i++;
    } else if (lo <= start_of(r) && hi >= r.hi) {
      r = g_body.file_ranges[--g_body.file_range_count];
    } else if (lo <= start_of(r)) {
      r.lo = hi | marks;
      i++;
    } else if (hi >= r.hi) {
      r.hi = lo;
      i++;
    } else {
      const uint64_t tail = r.hi;
      r.hi = lo;
      add_file_range(hi | marks, tail);
      i++;
    }
  }
}

void note_touched(uint64_t lo, uint64_t hi) {
  uint64_t& n = g_body.touched_count;
  if (n > 0 && n <= kMaxTouched) {
    Range& last = g_body.touched[n - 1];
    if (lo <= last.hi && hi >= last.lo) {
      last.lo = lo < last.lo ? lo : last.lo;
      last.hi = hi > last.hi ? hi : last.hi;
      return;
    }
  }
  if (n < kMaxTouched) g_body.touched[n] = {lo, hi};
  n = n < kMaxTouched ? n + 1 : kMaxTouched + 1;
}

void post(BodyThread* t, uint32_t nr, uint64_t a, uint64_t b, uint64_t c = 0, uint64_t d = 0,
          uint64_t e = 0, uint64_t f = 0) {
  const uint64_t args[6] = {a, b, c, d, e, f};
  post_home(t, nr, args);
}

// Ends a call that has begun under the lock, before anything has been changed: home decides. So it does what is too
// much here, as this node's limits and memory are not the program's.
long leave_it_to_home(GateCall& c, MmLock& lock) {
  lock.release();
  return come_home(c);
}

// The kernel has come so far down (a terabyte is mapped) that it chose a place which home needs for its executors.
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

// Contents of a fresh file mapping at [at, at + len), which home has made. Pages beyond the end of the file
// stay inaccessible here: touching one comes home, where it is SIGBUS as always.
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

long map_file(GateCall& c, MmLock& lock, uint64_t len, uint32_t prot, uint32_t flags) {
  BodyThread* t = c.thread;
  // Take the place here, let home map the file there, fill it.
  const uint32_t place = (flags & (k::kMapFixed | k::kMapFixedNoreplace | k::kMap32bit)) |
                         k::kMapPrivate | k::kMapAnonymous | k::kMapNoreserve;
  const bool replaces = (flags & k::kMapFixed) && !(flags & k::kMapFixedNoreplace);
  if (replaces) {
    // Should home refuse (bad descriptor, ...), the old contents must still be there: ask first.
    const uint64_t args[6] = {c.args[0], c.args[1], c.args[2], c.args[3], c.args[4], c.args[5]};
    const long at_home = call_home(c, kNr_mmap, args, true);
    if (is_error(at_home)) return at_home;
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
      return at_home;
    }
  }
  forget_file_range(c.args[0], c.args[0] + len);
  add_file_range(c.args[0], c.args[0] + len);
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
  if (type != k::kMapPrivate || (flags & kOnlyAtHome) != 0) return come_home(c);
  if ((prot & k::kProtExec) && g_body.denies_exec != 0) return come_home(c);
  if (c.args[1] == 0) return -k::kEINVAL;
  if (c.args[1] > (uint64_t{1} << 47)) return -k::kENOMEM;
  const uint64_t len = page_up(c.args[1]);
  const bool fixed = (flags & (k::kMapFixed | k::kMapFixedNoreplace)) != 0;
  // Of a file only home knows whether there is something else that is wrong.
  if (fixed && !is_page(addr)) return flags & k::kMapAnonymous ? -k::kEINVAL : come_home(c);
  if (fixed && is_reserved(addr, len)) return -k::kENOMEM;
  if (addr != 0 && is_lent(addr, len)) return come_home(c);
  if (t->kick) return kPark;
  MmLock lock(t);
  if (!lock.held()) return kPark;
  if ((flags & k::kMapFixed) && cuts_shared(addr, addr + len)) return leave_it_to_home(c, lock);
  if (!(flags & k::kMapAnonymous)) return map_file(c, lock, len, prot, flags);
  const long at = sys(kNr_mmap, addr, c.args[1], prot, flags, -1, 0);
  if (at == -k::kENOMEM) return leave_it_to_home(c, lock);
  if (is_error(at)) return at;
  if (is_lent(static_cast<uint64_t>(at), len)) return undo_mapping(c, lock, at, len);
  const bool replaces = (flags & k::kMapFixed) && !(flags & k::kMapFixedNoreplace);
  if (replaces) forget_file_range(addr, addr + len);
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
  if (cuts_shared(c.args[0], c.args[0] + page_up(c.args[1]))) return leave_it_to_home(c, lock);
  const long r = sys(kNr_munmap, c.args[0], c.args[1]);
  if (r != 0) return r;
  forget_file_range(c.args[0], c.args[0] + page_up(c.args[1]));
  post(t, kNr_munmap, c.args[0], c.args[1]);
  return 0;
}

// Context: gate
long gate_mprotect(GateCall& c) {
  BodyThread* t = c.thread;
  // What home's kernel says of its vDSO and the data beside it only home knows.
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
  // Contents of shared memory cannot be written at home once it is read-only there.
  if (is_shared(c.args[0], end)) return leave_it_to_home(c, lock);
  const long r = sys(kNr_mprotect, c.args[0], c.args[1], c.args[2]);
  if (r == -k::kENOMEM) return leave_it_to_home(c, lock);
  if (r != 0) return r;
  if ((c.args[2] & k::kProtWrite) && is_file_range(c.args[0], end)) note_touched(c.args[0], end);
  post(t, kNr_mprotect, c.args[0], c.args[1], c.args[2]);
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
      is_locked(old, old_end) || (fixed && cuts_shared(c.args[4], c.args[4] + new_len)))
    return leave_it_to_home(c, lock);
  const bool file = is_file_range(old, old + old_len);
  const long at = sys(kNr_mremap, old, c.args[1], c.args[2], flags, c.args[4]);
  // Without the right to move it, a neighbour is the usual reason, here as at home.
  if (at == -k::kENOMEM && ((flags & k::kMremapMaymove) ||
                            (new_len > old_len && is_free(old + old_len, new_len - old_len))))
    return leave_it_to_home(c, lock);
  if (is_error(at)) return at;
  const auto where = static_cast<uint64_t>(at);
  if (is_lent(where, new_len)) {
    // As undo_mapping(): moved or grown, its old pages are the first of the new ones.
    const uint64_t how = where != old ? k::kMremapMaymove | k::kMremapFixed : 0;
    const long back = sys(kNr_mremap, where, new_len, old_len, how, old);
    if (is_error(back)) panic("mremap", static_cast<uint64_t>(-back));
    return leave_it_to_home(c, lock);
  }
  if (where != old && !(flags & k::kMremapDontunmap)) forget_file_range(old, old + old_len);
  if (where == old && new_len < old_len) forget_file_range(old + new_len, old + old_len);
  if (where != old) {
    forget_file_range(where, where + new_len);
    if (file) {
      add_file_range(where, where + new_len);
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
      // A private file mapping would read the file again: home has it. Shared memory keeps its contents, locked
      // memory refuses.
      if (is_file_range(at, end) || is_shared(at, end) || is_locked(at, end))
        return leave_it_to_home(c, lock);
      return sys(kNr_madvise, c.args[0], c.args[1], c.args[2]);
    case 0:   // NORMAL
    case 1:   // RANDOM
    case 2:   // SEQUENTIAL
    case 3:   // WILLNEED
    case 20:  // COLD
    case 21:  // PAGEOUT
    case 22:  // POPULATE_READ
    case 23:  // POPULATE_WRITE
    case 25:  // COLLAPSE
      return sys(kNr_madvise, c.args[0], c.args[1], c.args[2]);
    case 10:    // DONTFORK
    case 11:    // DOFORK
    case 12:    // MERGEABLE
    case 13:    // UNMERGEABLE
    case 14:    // HUGEPAGE
    case 15:    // NOHUGEPAGE
    case 16:    // DONTDUMP
    case 17:    // DODUMP
    case 18:    // WIPEONFORK
    case 19: {  // KEEPONFORK
      // Properties of the mapping: both sides must have them.
      const long r = sys(kNr_madvise, c.args[0], c.args[1], c.args[2]);
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
long gate_mincore(GateCall& c) { return sys(kNr_mincore, c.args[0], c.args[1], c.args[2]); }

}  // namespace om::gate
