// SPDX-License-Identifier: Apache-2.0
//
// Signals that arrive at home while the program is away.
#pragma once

#include "libom/stub/stub.h"

namespace om::stub {

inline uint32_t noted(const HomeThread* t) { return t->noted_head - t->noted_tail; }
// Copies the noted signals [tail, head) out, at most `room`; their count.
// Context: exec
uint32_t copy_noted(const HomeThread* t, SignalRecord* to, uint32_t room);
// Drops the first `count` of them, which the gate has received.
// Context: exec
void drop_noted(HomeThread* t, uint32_t count);
// Installs the native disposition that stands for the program's `action` for `sig`.
// Context: exec
long install(uint32_t sig, const KernelSigaction& action);
// Applies SA_RESETHAND if `action` has it: flags and mask stay, as in the kernel.
// Context: exec, catch
void reset_handler(uint32_t sig, const KernelSigaction& action);

}  // namespace om::stub
