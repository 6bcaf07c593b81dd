// SPDX-License-Identifier: Apache-2.0
//
// Symbols of a loaded ELF object, by its hash table, as ld.so finds them. The object is one that ld.so has loaded, or
// the kernel's vDSO: its tables are trusted as far as ld.so trusts them.
#pragma once

#include <elf.h>
#include <stdint.h>

namespace om::shim {

class ElfLookup {
 public:
  // `bias` is added to the object's own addresses, except those that ld.so has replaced with addresses in memory.
  // Context: init
  ElfLookup(uint64_t bias, const Elf64_Dyn* dynamic);

  // Address of the function that other objects bind to for `name`, 0 if the object does not define it.
  // Context: init
  uint64_t find(const char* name) const;

 private:
  uint64_t find_gnu(const char* name) const;
  uint64_t find_old(const char* name) const;
  uint64_t address_of(uint32_t index, const char* name) const;

  uint64_t bias_;
  const Elf64_Sym* symbols_ = nullptr;
  const char* strings_ = nullptr;
  const uint32_t* gnu_hash_ = nullptr;
  const uint32_t* old_hash_ = nullptr;
  const uint16_t* versions_ = nullptr;
};

}  // namespace om::shim
