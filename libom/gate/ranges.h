// SPDX-License-Identifier: Apache-2.0
//
// Which memory of the body is more at home than private anonymous memory (BodyState.file_ranges): a file is behind it,
// it is shared, locked, a view of a memory object. And what of it may have been written (BodyState.touched). If there
// are more ranges than fit, everything counts as all of it.
//
// The caller holds mm_lock, or looks for a hint only.
#pragma once

#include <stdint.h>

namespace om::gate {

// Does [lo, hi) touch a range of that kind.
// Context: gate
bool is_file_range(uint64_t lo, uint64_t hi);
bool is_shared(uint64_t lo, uint64_t hi);
bool is_locked(uint64_t lo, uint64_t hi);
bool is_object(uint64_t lo, uint64_t hi);
// Would shared memory without [lo, hi) still be there. mremap can then show the part again.
// Context: gate
bool cuts_shared(uint64_t lo, uint64_t hi);
// May a view of an object, [lo, hi), not change without home: through the descriptor home can write to all of it, but
// without one it writes to what its own mappings show.
// Context: gate
bool is_fixed_view(uint64_t lo, uint64_t hi);

// Is [lo, hi) of a file that what is stored there must get to, when the mapping ends at the latest.
// Context: gate
bool is_written_back(uint64_t lo, uint64_t hi);

// `lo` with a mark (kRange...) or none.
// Context: gate
void add_range(uint64_t lo, uint64_t hi);
// [lo, hi) is no longer memory of any kind: unmapped or mapped over.
// Context: gate
void forget_ranges(uint64_t lo, uint64_t hi);
// Contents that came from a file may be written.
// Context: gate
void note_touched(uint64_t lo, uint64_t hi);

// Shows the object's memory from `view` on at [at, at + len), in place of what is there. 0 or -errno.
// Context: gate, restore
long show_object(uint64_t view, uint64_t at, uint64_t len, uint32_t prot);

// [addr, addr+len) touches libom or another range that the program must not map, at home either.
// Context: gate
bool is_reserved(uint64_t addr, uint64_t len);
// [addr, addr+len) touches what is libom's only while the process is away: the arena, or what executors map at home.
// Context: gate
bool is_lent(uint64_t addr, uint64_t len);

}  // namespace om::gate
