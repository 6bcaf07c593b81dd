// SPDX-License-Identifier: Apache-2.0
//
// What libom keeps of its program's start, found through the ELF note kNoteStart. The environment in
// /proc/PID/environ is the program's memory, which many programs overwrite with a title; this keeps what later
// decisions need of it.
//
// Separate from the Anchor (anchor.h) and independent of its layout: fields are added at the end, never moved.
#pragma once

#include <stdint.h>

namespace om {

// Types of the ELF notes "openMosix"; each holds the distance from its descriptor to the object.
constexpr uint32_t kNoteAnchor = 1;
constexpr uint32_t kNoteStart = 2;

struct StartState {
  // H: 1 when the constructor has finished. Until then the process must not leave: the rest of the constructor, and of
  // those of libraries before libom, is not program code yet.
  uint32_t ready;
  uint32_t home_cpus;  // H: 1 if OM_HOME_CPUS is set and not empty
  char control[112];  // H: OM_CONTROL, "" if unset; cut to this, longer than any socket's name
  char cpu[32];       // H: OM_CPU, the baseline of `om run --cpu`
};
static_assert(sizeof(StartState) == 152);

}  // namespace om
