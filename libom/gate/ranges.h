// SPDX-License-Identifier: Apache-2.0
//
// Which memory of the body is more than private anonymous memory at home (BodyState.file_ranges): file-backed, shared,
// locked, or a view of a memory object. And which of it may have been written (BodyState.touched). If there are more
// ranges than fit, all memory counts as every one of these.
//
// The caller holds mm_lock, or only needs a hint.
#pragma once

#include <stdint.h>

namespace om::gate {

// Whether [lo, hi) touches a range of that kind.
// Context: gate
bool is_file_range(uint64_t lo, uint64_t hi);
bool is_shared(uint64_t lo, uint64_t hi);
bool is_locked(uint64_t lo, uint64_t hi);
bool is_object(uint64_t lo, uint64_t hi);
// Whether [lo, hi) covers only a part of some shared memory: once unmapped, mremap could show that part again.
// Context: gate
bool cuts_shared(uint64_t lo, uint64_t hi);
// Whether [lo, hi), a view of an object, must not change without home: through a descriptor home can write to all of
// the object, without one only to what its own mappings show.
// Context: gate
bool is_fixed_view(uint64_t lo, uint64_t hi);

// Whether stores to [lo, hi) must reach a file, at the latest when the mapping ends.
// Context: gate
bool is_written_back(uint64_t lo, uint64_t hi);

// Adds a range; `lo` carries a mark (kRange...) or none.
// Context: gate
void add_range(uint64_t lo, uint64_t hi);
// Forgets [lo, hi), which has been unmapped or mapped over.
// Context: gate
void forget_ranges(uint64_t lo, uint64_t hi);
// Notes that [lo, hi), whose contents came from a file, may be written.
// Context: gate
void note_touched(uint64_t lo, uint64_t hi);

// Maps the object's memory from `view` on at [at, at + len), replacing what is there. 0 or -errno.
// Context: gate, restore
long show_object(uint64_t view, uint64_t at, uint64_t len, uint32_t prot);

// Whether [addr, addr + len) touches libom or another range that the program must not map at home either.
// Context: gate
bool is_reserved(uint64_t addr, uint64_t len);
// Whether [addr, addr + len) touches what is libom's only while the process is away: the arena, or what executors map
// at home.
// Context: gate
bool is_lent(uint64_t addr, uint64_t len);

}  // namespace om::gate
