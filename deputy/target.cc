// SPDX-License-Identifier: Apache-2.0
#include "deputy/target.h"

#include <elf.h>
#include <string.h>
#include <sys/mman.h>

#include "common/proc/process.h"

namespace om::deputy {
namespace {

constexpr char kNoteName[] = "openMosix";
constexpr uint32_t kNoteAnchor = 1;
constexpr size_t kHeaderBytes = 4096;

// Address of the Anchor from the ELF note in the first page of the library at `base`.
Verdict<uint64_t> find_anchor(const ProcessMemory& memory, uint64_t base) {
  std::vector<std::byte> page(kHeaderBytes);
  const size_t n = memory.read_some(base, page);
  Elf64_Ehdr eh;
  if (n < sizeof eh) return refuse(ReasonCode::kNotPreloaded, "its libom.so is not readable");
  memcpy(&eh, page.data(), sizeof eh);
  if (memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0 || eh.e_phentsize != sizeof(Elf64_Phdr)) {
    return refuse(ReasonCode::kNotPreloaded, "its libom.so is not a library");
  }
  for (size_t i = 0; i < eh.e_phnum; i++) {
    const uint64_t at = eh.e_phoff + i * sizeof(Elf64_Phdr);
    Elf64_Phdr ph;
    if (at > n || n - at < sizeof ph) break;
    memcpy(&ph, page.data() + at, sizeof ph);
    if (ph.p_type != PT_NOTE || ph.p_vaddr > n || ph.p_filesz > n - ph.p_vaddr) continue;
    uint64_t note = ph.p_vaddr;
    const uint64_t end = ph.p_vaddr + ph.p_filesz;
    while (end - note >= sizeof(Elf64_Nhdr)) {
      Elf64_Nhdr nh;
      memcpy(&nh, page.data() + note, sizeof nh);
      const uint64_t name = note + sizeof nh;
      const uint64_t desc = name + ((uint64_t{nh.n_namesz} + 3) & ~uint64_t{3});
      const uint64_t next = desc + ((uint64_t{nh.n_descsz} + 3) & ~uint64_t{3});
      if (next > end || next <= note) break;
      if (nh.n_namesz == sizeof kNoteName &&
          memcmp(page.data() + name, kNoteName, sizeof kNoteName) == 0 &&
          nh.n_type == kNoteAnchor && nh.n_descsz == 8) {
        int64_t distance;
        memcpy(&distance, page.data() + desc, sizeof distance);
        return base + desc + static_cast<uint64_t>(distance);
      }
      note = next;
    }
  }
  return refuse(ReasonCode::kNotPreloaded, "its libom.so has no anchor");
}

bool inside(const Anchor& a, uint64_t address) {
  return address >= a.image_lo && address < a.image_hi;
}

bool plausible(const Anchor& a, uint64_t base) {
  const uint64_t code[] = {a.inject,     a.transplant,     a.transplant_end, a.window_lo,
                           a.window_end, a.executor_entry, a.orphan_entry,   a.remote_entry,
                           a.catcher,    a.restorer,       a.body_entry,     a.home_state,
                           a.body_state, a.first_inject,   a.first_aid,      a.continue_call};
  if (a.image_lo != base || a.image_hi <= a.image_lo || a.image_hi - a.image_lo > (64u << 20))
    return false;
  if (a.gate_lo < a.image_lo || a.gate_hi > a.image_hi || a.gate_lo >= a.gate_hi) return false;
  if ((a.gate_lo >> 32) != ((a.gate_hi - 1) >> 32)) return false;
  for (uint64_t address : code) {
    if (!inside(a, address)) return false;
  }
  if (a.first_aid + sizeof(FirstAid) > a.image_hi) return false;
  return a.home_state + sizeof(HomeState) <= a.image_hi &&
         a.body_state + sizeof(BodyState) <= a.image_hi;
}

}  // namespace

Result<void> Target::reread_maps() {
  maps = OM_TRY(proc::read_maps(proc::memory_tid(pid)));
  return {};
}

Verdict<Target> open_target(pid_t pid) {
  const pid_t shown = proc::memory_tid(pid);
  auto maps = proc::read_maps(shown);
  if (!maps) {
    if (maps.error().err == ESRCH || maps.error().err == ENOENT)
      return refuse(ReasonCode::kNoSuchProcess, "{}", pid);
    return internal(maps.error());
  }
  auto memory = ProcessMemory::open(shown);
  if (!memory) {
    if (memory.error().err == ESRCH || memory.error().err == ENOENT)
      return refuse(ReasonCode::kNoSuchProcess, "{}", pid);
    return refuse(ReasonCode::kNotDumpable, "{}", memory.error().text());
  }
  for (const auto& map : *maps) {
    if (map.kind != proc::MapKind::kFile || map.basename() != "libom.so" || map.offset != 0)
      continue;
    const uint64_t at = OM_STEP(find_anchor(*memory, map.start));
    auto anchor = memory->get<Anchor>(at);
    if (!anchor || anchor->magic != kAnchorMagic)
      return refuse(ReasonCode::kNotPreloaded, "its libom.so is damaged");
    if (anchor->abi != kAnchorAbi) {
      return refuse(ReasonCode::kVersion, "its libom.so has layout {}, this deputy knows {}",
                    anchor->abi, kAnchorAbi);
    }
    if (!plausible(*anchor, map.start))
      return refuse(ReasonCode::kNotPreloaded, "its libom.so is damaged");
    return Target{pid, std::move(*memory), *anchor, std::move(*maps)};
  }
  return refuse(ReasonCode::kNotPreloaded, "no libom.so is mapped");
}

}  // namespace om::deputy
