// SPDX-License-Identifier: Apache-2.0
//
// Finds the function that libom's clock_gettime hides. Libraries behind libom in symbol order may define it, too
// (libfaketime, for one): they answer for everything but CPU time. The order is that of the list which ld.so keeps for
// debuggers (r_debug, link_map), the same in every C library; the constructor searches it once.
#include <elf.h>

#include "libom/shim/elf_lookup.h"
#include "libom/shim/shim.h"

extern "C" __attribute__((visibility("hidden"))) const Elf64_Dyn _DYNAMIC[];

namespace om::shim {
namespace {

// As in <link.h>, which is not freestanding.
struct LinkMap {
  uint64_t bias;
  const char* name;
  const Elf64_Dyn* dynamic;
  const LinkMap* next;
};
struct Debug {
  int version;
  const LinkMap* map;
};

constexpr uint64_t kMaxVdsoBytes = 1 << 16;

const LinkMap* first_object(uint64_t headers, uint64_t count) {
  const auto* header = reinterpret_cast<const Elf64_Phdr*>(headers);
  uint64_t bias = 0;
  const Elf64_Phdr* dynamic = nullptr;
  for (uint64_t i = 0; i < count; i++) {
    if (header[i].p_type == PT_PHDR) bias = headers - header[i].p_vaddr;
    if (header[i].p_type == PT_DYNAMIC) dynamic = &header[i];
  }
  if (dynamic == nullptr) return nullptr;
  const auto* d = reinterpret_cast<const Elf64_Dyn*>(bias + dynamic->p_vaddr);
  for (; d->d_tag != DT_NULL; d++) {
    if (d->d_tag != DT_DEBUG || d->d_un.d_ptr == 0) continue;
    return reinterpret_cast<const Debug*>(d->d_un.d_ptr)->map;
  }
  return nullptr;
}

ClockGettime next_definition(const LinkMap* object, uint64_t vdso) {
  while (object != nullptr && object->dynamic != _DYNAMIC) object = object->next;
  if (object == nullptr) return nullptr;
  for (object = object->next; object != nullptr; object = object->next) {
    if (object->dynamic == nullptr) continue;
    // The vDSO is in the list, but nothing binds to it.
    if (reinterpret_cast<uint64_t>(object->dynamic) - vdso < kMaxVdsoBytes) continue;
    const ElfLookup symbols(object->bias, object->dynamic);
    const uint64_t found = symbols.find("clock_gettime");
    if (found == 0) continue;
    // The C library itself: it does what libom does, with more steps.
    if (symbols.find("__errno_location") != 0) return nullptr;
    return reinterpret_cast<ClockGettime>(found);
  }
  return nullptr;
}

ClockGettime vdso_clock(uint64_t image) {
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
  const ElfLookup symbols(bias, reinterpret_cast<const Elf64_Dyn*>(dynamic));
  return reinterpret_cast<ClockGettime>(symbols.find("__vdso_clock_gettime"));
}

}  // namespace

ClockGettime g_vdso_clock_gettime = nullptr;
ClockGettime g_next_clock_gettime = nullptr;

// Context: init
void find_clocks(uint64_t headers, uint64_t count, uint64_t vdso) {
  if (vdso != 0) g_vdso_clock_gettime = vdso_clock(vdso);
  if (headers != 0) g_next_clock_gettime = next_definition(first_object(headers, count), vdso);
}

}  // namespace om::shim
