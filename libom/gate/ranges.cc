// SPDX-License-Identifier: Apache-2.0
#include "libom/gate/ranges.h"

#include "libom/abi/kernel.h"
#include "libom/gate/gate.h"
#include "libom/safe/numbers.h"
#include "libom/safe/syscall.h"

namespace om::gate {
namespace {

bool overlaps(uint64_t a_lo, uint64_t a_hi, uint64_t b_lo, uint64_t b_hi) {
  return a_lo < b_hi && b_lo < a_hi;
}

uint64_t start_of(const Range& r) { return r.lo & ~kRangeMarks; }

// Whether [lo, hi) touches a range that is on the list for the reason `mark`.
bool is_marked(uint64_t lo, uint64_t hi, uint64_t mark) {
  if (g_body.file_range_count > kMaxFileRanges) return true;
  for (uint64_t i = 0; i < g_body.file_range_count; i++) {
    const Range& r = g_body.file_ranges[i];
    if ((r.lo & kRangeMarks) == mark && overlaps(lo, hi, start_of(r), r.hi)) return true;
  }
  return false;
}

}  // namespace

// Context: gate
bool is_file_range(uint64_t lo, uint64_t hi) { return is_marked(lo, hi, 0); }
// Context: gate
bool is_shared(uint64_t lo, uint64_t hi) { return is_marked(lo, hi, kRangeShared); }
// Context: gate
bool is_locked(uint64_t lo, uint64_t hi) { return is_marked(lo, hi, kRangeLocked); }
// Context: gate
bool is_object(uint64_t lo, uint64_t hi) {
  return g_body.object_count != 0 && is_marked(lo, hi, kRangeObject);
}

// Context: gate
bool is_written_back(uint64_t lo, uint64_t hi) {
  return g_body.writes_files != 0 && is_shared(lo, hi) && is_file_range(lo, hi);
}

// Context: gate
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

// Context: gate
bool is_fixed_view(uint64_t lo, uint64_t hi) {
  if (!is_object(lo, hi)) return false;
  for (uint64_t i = 0; i < g_body.object_count && i < kMaxMemoryObjects; i++) {
    if (g_body.objects[i].is_open == 0) return true;
  }
  return false;
}

// Context: gate
void add_range(uint64_t lo, uint64_t hi) {
  uint64_t& n = g_body.file_range_count;
  // Merges neighbours: a heap that is mapped piece by piece would fill the list.
  for (uint64_t i = 0; (lo & kRangeMarks) == kRangeObject && i < n && i < kMaxFileRanges; i++) {
    Range& r = g_body.file_ranges[i];
    if ((r.lo & kRangeMarks) != kRangeObject) continue;
    if (r.hi == start_of({lo, hi})) {
      r.hi = hi;
      return;
    }
    if (start_of(r) == hi) {
      r.lo = lo;
      return;
    }
  }
  if (n < kMaxFileRanges) g_body.file_ranges[n] = {lo, hi};
  n = n < kMaxFileRanges ? n + 1 : kMaxFileRanges + 1;
}

// Context: gate
void forget_ranges(uint64_t lo, uint64_t hi) {
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
      add_range(hi | marks, tail);
      i++;
    }
  }
}

// Context: gate
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

// An old length of 0 makes another mapping of the same shared memory.
// Context: gate, restore
long show_object(uint64_t view, uint64_t at, uint64_t len, uint32_t prot) {
  const long r = safe::sys(kNr_mremap, view, 0, len, k::kMremapMaymove | k::kMremapFixed, at);
  if (r != static_cast<long>(at)) return r < 0 && r > -4096 ? r : -k::kEINVAL;
  if (prot == (k::kProtRead | k::kProtWrite)) return 0;
  return safe::sys(kNr_mprotect, at, len, prot);
}

}  // namespace om::gate
