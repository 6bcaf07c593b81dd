// SPDX-License-Identifier: Apache-2.0
//
// Memory of executors that calls read and write instead of the program's.
#pragma once

#include "libom/stub/stub.h"

namespace om::stub {

// A slot's own bounce memory: in its send area, after the Return's head.
constexpr uint64_t kBounceOffset = 0x4000;
constexpr uint64_t kSlotBounce = kSlotSendSize - kBounceOffset;

// Bounce memory of the slot for outputs, zero-filled up to `bytes`; mapped if larger than the slot's own.
// nullptr if memory is short.
// Context: exec
uint8_t* bounce(HomeThread* t, uint64_t bytes);
void release_bounce(HomeThread* t);
void release_message(HomeThread* t);
// Unmaps all mappings of a slot: the process is home, or the thread ends.
// Context: exec
void unmap_executor_area(HomeThread* t);
enum ExecutorAreaPlace : uint32_t { kForOutputs = 0, kForMessage = 1 };
// Maps memory that is too large for a slot, in the window where the body maps nothing: home repeats the body's mappings
// at the same addresses. After its release it may stay mapped for the next call. nullptr if memory is short.
// Context: exec
uint8_t* map_in_executor_area(HomeThread* t, ExecutorAreaPlace place, uint64_t bytes);

}  // namespace om::stub
