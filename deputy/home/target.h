// SPDX-License-Identifier: Apache-2.0
//
// The home process as the deputy sees it: its memory, its maps, and the libom inside it (anchor, state).
// Everything read from the process is checked: it may have scribbled over libom's data.
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include <vector>

#include "common/movable/verdict.h"
#include "common/proc/maps.h"
#include "common/proc/process_memory.h"
#include "libom/abi/anchor.h"
#include "libom/abi/home.h"

namespace om::deputy {

struct Target {
  pid_t pid = 0;
  ProcessMemory memory;
  Anchor anchor{};
  std::vector<proc::Mapping> maps;  // as last read

  // [lo, hi) of libom's image, page aligned.
  uint64_t image_lo() const { return anchor.image_lo; }
  uint64_t image_hi() const { return (anchor.image_hi + kPageSize - 1) & ~(kPageSize - 1); }

  Result<HomeState> home() const { return memory.get<HomeState>(anchor.home_state); }
  Result<void> put_home(const HomeState& state) const {
    return memory.put(anchor.home_state, state);
  }
  uint64_t thread_address(uint64_t arena, uint32_t slot) const {
    return slot_address(arena, slot) + kSlotBlock;
  }
  Result<HomeThread> thread(uint64_t arena, uint32_t slot) const {
    return memory.get<HomeThread>(thread_address(arena, slot));
  }
  Result<void> put_thread(uint64_t arena, uint32_t slot, const HomeThread& t) const {
    return memory.put(thread_address(arena, slot), t);
  }

  // One field of HomeState or HomeThread: the rest may be changing meanwhile.
  template <class T>
  Result<void> put_home_field(size_t offset, const T& value) const {
    return memory.put(anchor.home_state + offset, value);
  }

  Result<void> reread_maps();
};

// Whether all threads of the process are ending, or only wait to be reaped: every step then fails in its own way. They
// end one after the other; waits a little for the last one.
bool has_ended(pid_t pid);

// NO_SUCH_PROCESS also for one that is ending. NOT_PRELOADED if there is no usable libom in the process; VERSION if it
// is of another layout.
Verdict<Target> open_target(pid_t pid);

}  // namespace om::deputy
