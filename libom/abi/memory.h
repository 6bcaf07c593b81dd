// SPDX-License-Identifier: Apache-2.0
//
// Pieces of an address space, as the structs that daemons and libom share name them.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "libom/abi/layout.h"

namespace om {

struct Range {
  uint64_t lo, hi;
};

// A memory object (memfd, shared anonymous memory, unlinked file of /dev/shm) that only this process has, and sees
// through several mappings or a descriptor. It moves with all its mappings, which are views of it in the body, too.
// `view`: where the body maps all of it; at home executors map what they need there (layout.h).
struct MemoryObject {
  uint64_t dev, inode;  // as stat says
  uint64_t view, bytes;
  uint64_t is_open;  // a descriptor of the process is open
};
constexpr uint32_t kMaxMemoryObjects = 16;
constexpr uint64_t page_up(uint64_t n) { return (n + kPageSize - 1) & ~(kPageSize - 1); }

// Why a range is in BodyState.file_ranges, in the low bits of its `lo`; none of them: it is file-backed.
constexpr uint64_t kRangeShared = 1;  // shared memory: home's kernel keeps what no mapping shows
constexpr uint64_t kRangeLocked = 2;  // locked into memory
constexpr uint64_t kRangeObject = 3;  // a view of a MemoryObject
constexpr uint64_t kRangeMarks = 3;

}  // namespace om
