// SPDX-License-Identifier: Apache-2.0
//
// Memory of executors that calls read and write instead of the program's.
#pragma once

#include "libom/stub/stub.h"

namespace om::stub {

// Where a slot has bounce memory of its own: in its send area, behind the Return's head.
constexpr uint64_t kBounceOffset = 0x4000;
constexpr uint64_t kSlotBounce = kSlotSendSize - kBounceOffset;

// Bounce memory of the slot for outputs, zero-filled up to `bytes`; larger than the slot's is mapped.
// nullptr when memory is short.
// Context: exec
uint8_t* bounce(HomeThread* t, uint64_t bytes);
void release_bounce(HomeThread* t);
void release_message(HomeThread* t);
// The process is home, or the thread ends: nothing of a slot's stays mapped.
// Context: exec
void unmap_executor_area(HomeThread* t);
enum ExecutorAreaPlace : uint32_t { kForOutputs = 0, kForMessage = 1 };
// Memory of ours of a size that no slot has room for, in the window where the body maps nothing: what it maps is
// mapped here at the same addresses. Released, it may stay mapped for the next call. nullptr when memory is short.
// Context: exec
uint8_t* map_in_executor_area(HomeThread* t, ExecutorAreaPlace place, uint64_t bytes);

}  // namespace om::stub
