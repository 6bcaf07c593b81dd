// SPDX-License-Identifier: Apache-2.0
//
// The libom.so in another process, as found in its memory: by the ELF notes of the library (libom/abi/start.h), not
// by what the program may overwrite. Everything read is checked: the program may have scribbled over that, too.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "common/proc/maps.h"
#include "common/proc/process_memory.h"
#include "libom/abi/start.h"

namespace om {

// Where libom.so begins in these mappings: its ELF header. nullopt: it is not loaded.
std::optional<uint64_t> find_preload(std::span<const proc::Mapping> maps);

// The address that the note of this type leads to, in the libom.so that begins at `base`. EBADMSG: what is mapped
// there is no library or has no such note.
Result<uint64_t> find_note(const ProcessMemory& memory, uint64_t base, uint32_t type);

// How far a process is with its start, and what it was started with.
struct ProgramStart {
  enum class Phase {
    kNotLoaded,  // no libom.so
    kStarting,   // its constructor is not through
    kReady,
    kUnknown,  // it cannot be looked at, or is of another release
  };
  Phase phase = Phase::kNotLoaded;
  // When kReady: OM_CONTROL and OM_CPU of its environment, "" without them.
  std::string control, cpu;
};
// `pid`: a process or a thread of it that has memory (proc::memory_tid).
ProgramStart read_start(pid_t pid);
ProgramStart read_start(pid_t pid, std::span<const proc::Mapping> maps);

}  // namespace om
