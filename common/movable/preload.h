// SPDX-License-Identifier: Apache-2.0
//
// Finds libom.so in another process's memory by the library's ELF notes (libom/abi/start.h), not by anything that
// programs normally overwrite. Everything read is checked, because the program may have overwritten the notes too.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "common/proc/maps.h"
#include "common/proc/process_memory.h"
#include "libom/abi/start.h"

namespace om {

// Address of libom.so's ELF header in these mappings; nullopt if it is not loaded.
std::optional<uint64_t> find_preload(std::span<const proc::Mapping> maps);

// The address that the note of this type gives, in the libom.so at `base`. EBADMSG: what is mapped there is not a
// library or has no such note.
Result<uint64_t> find_note(const ProcessMemory& memory, uint64_t base, uint32_t type);

// How far a process has come with its start, and what it was started with.
struct ProgramStart {
  enum class Phase {
    kNotLoaded,  // no libom.so
    kStarting,   // its constructor has not finished
    kReady,
    kUnknown,  // it cannot be read, or belongs to another release
  };
  Phase phase = Phase::kNotLoaded;
  // If kReady: OM_CONTROL and OM_CPU of its environment, "" if unset.
  std::string control, cpu;
  bool home_cpus = false;  // if kReady: OM_HOME_CPUS is set
};
// `pid`: a process, or one of its threads that has memory (proc::memory_tid).
ProgramStart read_start(pid_t pid);
ProgramStart read_start(pid_t pid, std::span<const proc::Mapping> maps);

}  // namespace om
