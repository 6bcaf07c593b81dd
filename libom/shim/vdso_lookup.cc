// SPDX-License-Identifier: Apache-2.0
//
// Finds a function of the kernel's vDSO: program headers, dynamic section, symbols. The image is the kernel's,
// mapped whole; still nothing is read that its headers do not cover.
#include <elf.h>

#include "libom/shim/shim.h"

namespace om::shim {
namespace {

bool same(const char* a, const char* b) {
  while (*a != 0 && *a == *b) {
    a++;
    b++;
  }
  return *a == *b;
}

}  // namespace

// Context: init
const void* find_vdso_function(uint64_t image, const char* name) {
  const auto* header = reinterpret_cast<const Elf64_Ehdr*>(image);
  const auto* segment = reinterpret_cast<const Elf64_Phdr*>(image + header->e_phoff);
  uint64_t bias = 0, dynamic = 0;
  bool loaded = false;
  for (unsigned i = 0; i < header->e_phnum; i++) {
    if (segment[i].p_type == PT_LOAD && !loaded) {
      bias = image + segment[i].p_offset - segment[i].p_vaddr;
      loaded = true;
    }
    if (segment[i].p_type == PT_DYNAMIC) dynamic = image + segment[i].p_offset;
  }
  if (!loaded || dynamic == 0) return nullptr;
  uint64_t symbols = 0, strings = 0, hash = 0, gnu_hash = 0;
  for (const auto* d = reinterpret_cast<const Elf64_Dyn*>(dynamic); d->d_tag != DT_NULL; d++) {
    if (d->d_tag == DT_SYMTAB) symbols = bias + d->d_un.d_ptr;
    if (d->d_tag == DT_STRTAB) strings = bias + d->d_un.d_ptr;
    if (d->d_tag == DT_HASH) hash = bias + d->d_un.d_ptr;
    if (d->d_tag == DT_GNU_HASH) gnu_hash = bias + d->d_un.d_ptr;
  }
  if (symbols == 0 || strings == 0 || (hash == 0 && gnu_hash == 0)) return nullptr;
  // The symbol table has no size of its own: the old hash table says it, or the symbols lie before the strings.
  const uint64_t count = hash != 0           ? reinterpret_cast<const uint32_t*>(hash)[1]
                         : strings > symbols ? (strings - symbols) / sizeof(Elf64_Sym)
                                             : 0;
  const auto* symbol = reinterpret_cast<const Elf64_Sym*>(symbols);
  for (uint64_t i = 0; i < count; i++) {
    if (symbol[i].st_shndx == SHN_UNDEF || ELF64_ST_TYPE(symbol[i].st_info) != STT_FUNC) continue;
    if (same(reinterpret_cast<const char*>(strings + symbol[i].st_name), name)) {
      return reinterpret_cast<const void*>(bias + symbol[i].st_value);
    }
  }
  return nullptr;
}

}  // namespace om::shim
