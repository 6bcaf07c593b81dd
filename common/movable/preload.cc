// SPDX-License-Identifier: Apache-2.0
#include "common/movable/preload.h"

#include <errno.h>
#include <string.h>

#include <algorithm>
#include <vector>

#include "common/elf/mapped_elf.h"

namespace om {
namespace {

constexpr char kNoteName[] = "openMosix";
constexpr size_t kHeaderBytes = 4096;
constexpr uint64_t kMaxImage = 64u << 20;

// The address in a note of this type in [note, end) of the library's first page.
std::optional<uint64_t> look_for_note(std::span<const std::byte> page, uint64_t note, uint64_t end,
                                      uint64_t base, uint32_t type) {
  while (end - note >= sizeof(Elf64_Nhdr)) {
    Elf64_Nhdr header;
    memcpy(&header, page.data() + note, sizeof header);
    const uint64_t name = note + sizeof header;
    const uint64_t desc = name + ((uint64_t{header.n_namesz} + 3) & ~uint64_t{3});
    const uint64_t next = desc + ((uint64_t{header.n_descsz} + 3) & ~uint64_t{3});
    if (next > end || next <= note) break;
    int64_t distance;
    if (header.n_namesz == sizeof kNoteName && header.n_type == type &&
        header.n_descsz == sizeof distance &&
        memcmp(page.data() + name, kNoteName, sizeof kNoteName) == 0) {
      memcpy(&distance, page.data() + desc, sizeof distance);
      return base + desc + static_cast<uint64_t>(distance);
    }
    note = next;
  }
  return std::nullopt;
}

std::string text_of(const char* bytes, size_t room) {
  return std::string(bytes, ::strnlen(bytes, room));
}

}  // namespace

std::optional<uint64_t> find_preload(std::span<const proc::Mapping> maps) {
  auto it = std::find_if(maps.begin(), maps.end(), [](const proc::Mapping& map) {
    return map.kind == proc::MapKind::kFile && map.offset == 0 && map.basename() == "libom.so";
  });
  if (it == maps.end()) return std::nullopt;
  return it->start;
}

Result<uint64_t> find_note(const ProcessMemory& memory, uint64_t base, uint32_t type) {
  const auto segments = mapped_segments(base, [&](uint64_t address, std::span<std::byte> to) {
    return static_cast<bool>(memory.read(address, to));
  });
  if (!segments && segments.error().err == EFAULT)
    return Error{EBADMSG, "its libom.so is not readable"};
  if (!segments) return Error{EBADMSG, "its libom.so is not a library"};
  std::vector<std::byte> page(kHeaderBytes);
  const size_t n = memory.read_some(base, page);
  for (const Elf64_Phdr& ph : *segments) {
    if (ph.p_type != PT_NOTE || ph.p_vaddr > n || ph.p_filesz > n - ph.p_vaddr) continue;
    const auto found = look_for_note(page, ph.p_vaddr, ph.p_vaddr + ph.p_filesz, base, type);
    if (found && *found >= base && *found - base < kMaxImage) return *found;
  }
  return Error{EBADMSG, "its libom.so has no note that leads further"};
}

ProgramStart read_start(pid_t pid, std::span<const proc::Mapping> maps) {
  using Phase = ProgramStart::Phase;
  const auto base = find_preload(maps);
  if (!base) return {};
  ProgramStart start{Phase::kUnknown, "", "", false};
  auto memory = ProcessMemory::open(pid);
  if (!memory) return start;
  auto at = find_note(*memory, *base, kNoteStart);
  if (!at) return start;
  auto state = memory->get<StartState>(*at);
  // Only the header is mapped so far: ld.so is loading it.
  if (!state || state->ready == 0) {
    start.phase = Phase::kStarting;
    return start;
  }
  start.phase = Phase::kReady;
  start.control = text_of(state->control, sizeof state->control);
  start.cpu = text_of(state->cpu, sizeof state->cpu);
  start.home_cpus = state->home_cpus == 1;
  return start;
}

ProgramStart read_start(pid_t pid) {
  auto maps = proc::read_maps(pid);
  if (!maps) return {ProgramStart::Phase::kUnknown, "", "", false};
  return read_start(pid, *maps);
}

}  // namespace om
