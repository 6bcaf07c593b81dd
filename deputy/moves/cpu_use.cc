// SPDX-License-Identifier: Apache-2.0
#include "deputy/moves/cpu_use.h"

#include <errno.h>
#include <fmt/format.h>
#include <sys/mman.h>

#include <set>
#include <string>

#include "common/elf/elf_tables.h"
#include "common/movable/preload.h"
#include "common/proc/process.h"

namespace om::deputy {
namespace {

// Of librseq, tcmalloc and others that use its macros.
constexpr const char* kSequences = "__rseq_cs";

bool has_sequences(pid_t pid, const std::string& path) {
  const auto found = has_section(fmt::format("/proc/{}/root{}", pid, path), kSequences);
  return found ? *found : found.error().err != ENOEXEC;
}

}  // namespace

bool keeps_home_cpus(const HomeSide& home) {
  const pid_t pid = proc::memory_tid(home.pid);
  if (read_start(pid, home.target->maps).home_cpus) return true;
  std::set<std::string> seen;
  for (const proc::Mapping& m : home.target->maps) {
    if (m.kind != proc::MapKind::kFile || (m.prot & PROT_EXEC) == 0) continue;
    if (m.basename() == "libom.so" || !seen.insert(m.path).second) continue;
    if (m.deleted || has_sequences(pid, m.path)) return true;
  }
  return false;
}

}  // namespace om::deputy
