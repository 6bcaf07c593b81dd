// SPDX-License-Identifier: Apache-2.0
//
// Access to the program's memory at home, never to libom's.
#pragma once

#include "libom/stub/stub.h"

namespace om::stub {

// Whether [at, at + bytes) touches libom's own memory: its image, the arena, or what executors map. A body has no
// business there.
// Context: exec
bool hits_libom(uint64_t at, uint64_t bytes);
// Copy from or to the program's memory at home (transplanted calls) or our own; false if it is not accessible.
// Neither read_program() nor write_program() touches libom's memory.
// Context: exec
bool read_memory(const HomeThread* t, void* to, uint64_t from, uint64_t bytes);
bool write_memory(const HomeThread* t, uint64_t to, const void* from, uint64_t bytes);
bool read_program(void* to, uint64_t from, uint64_t bytes);
bool write_program(uint64_t to, const void* from, uint64_t bytes);

}  // namespace om::stub
