// SPDX-License-Identifier: Apache-2.0
//
// What libom keeps of the start of its program, found through the ELF note kNoteStart. The environment in
// /proc/PID/environ is the program's memory, which many use for a title; what is decided by it later is kept here.
//
// Apart from the Anchor (session.h) and older than any layout of it: fields are added at the end, never moved.
#pragma once

#include <stdint.h>

namespace om {

// Types of the ELF notes "openMosix"; each is the distance from its descriptor to the thing.
constexpr uint32_t kNoteAnchor = 1;
constexpr uint32_t kNoteStart = 2;

struct StartState {
  // H: 1 when the constructor is through. Before, the process must not leave: what is left of the constructor, and of
  // those of libraries before libom, is no program code yet.
  uint32_t ready;
  uint32_t pad;
  char control[112];  // H: OM_CONTROL, "" without it; longer than the name of any socket: cut
  char cpu[32];       // H: OM_CPU, the baseline of `om run --cpu`
};
static_assert(sizeof(StartState) == 152);

}  // namespace om
