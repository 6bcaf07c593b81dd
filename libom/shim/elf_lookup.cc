// SPDX-License-Identifier: Apache-2.0
#include "libom/shim/elf_lookup.h"

namespace om::shim {
namespace {

constexpr uint16_t kHiddenVersion = 0x8000;
constexpr unsigned kTypeIfunc = 10;

bool same(const char* a, const char* b) {
  while (*a != 0 && *a == *b) {
    a++;
    b++;
  }
  return *a == *b;
}

uint32_t gnu_hash_of(const char* name) {
  uint32_t h = 5381;
  for (; *name != 0; name++) h = h * 33 + static_cast<unsigned char>(*name);
  return h;
}

uint32_t old_hash_of(const char* name) {
  uint32_t h = 0;
  for (; *name != 0; name++) {
    h = (h << 4) + static_cast<unsigned char>(*name);
    h ^= (h & 0xf0000000) >> 24;
    h &= 0x0fffffff;
  }
  return h;
}

}  // namespace

// Context: init
ElfLookup::ElfLookup(uint64_t bias, const Elf64_Dyn* dynamic) : bias_(bias) {
  // glibc has already added the bias where it could write; others leave the values of the file.
  auto at = [bias](uint64_t address) { return address >= bias ? address : address + bias; };
  for (const Elf64_Dyn* d = dynamic; d->d_tag != DT_NULL; d++) {
    const uint64_t p = at(d->d_un.d_ptr);
    if (d->d_tag == DT_SYMTAB) symbols_ = reinterpret_cast<const Elf64_Sym*>(p);
    if (d->d_tag == DT_STRTAB) strings_ = reinterpret_cast<const char*>(p);
    if (d->d_tag == DT_GNU_HASH) gnu_hash_ = reinterpret_cast<const uint32_t*>(p);
    if (d->d_tag == DT_HASH) old_hash_ = reinterpret_cast<const uint32_t*>(p);
    if (d->d_tag == DT_VERSYM) versions_ = reinterpret_cast<const uint16_t*>(p);
  }
}

// Context: init
uint64_t ElfLookup::find(const char* name) const {
  if (symbols_ == nullptr || strings_ == nullptr) return 0;
  if (gnu_hash_ != nullptr) return find_gnu(name);
  return old_hash_ != nullptr ? find_old(name) : 0;
}

uint64_t ElfLookup::find_gnu(const char* name) const {
  const uint32_t buckets = gnu_hash_[0], first = gnu_hash_[1], words = gnu_hash_[2],
                 shift = gnu_hash_[3];
  if (buckets == 0 || words == 0) return 0;
  const auto* bloom = reinterpret_cast<const uint64_t*>(gnu_hash_ + 4);
  const auto* bucket = reinterpret_cast<const uint32_t*>(bloom + words);
  const uint32_t* chain = bucket + buckets;
  const uint32_t hash = gnu_hash_of(name);
  const uint64_t mask = uint64_t{1} << (hash % 64) | uint64_t{1} << ((hash >> shift) % 64);
  if ((bloom[hash / 64 % words] & mask) != mask) return 0;
  uint32_t index = bucket[hash % buckets];
  if (index < first) return 0;
  for (;; index++) {
    const uint32_t entry = chain[index - first];
    if ((entry | 1) == (hash | 1)) {
      if (const uint64_t found = address_of(index, name)) return found;
    }
    if ((entry & 1) != 0) return 0;
  }
}

uint64_t ElfLookup::find_old(const char* name) const {
  const uint32_t buckets = old_hash_[0];
  if (buckets == 0) return 0;
  const uint32_t* chain = old_hash_ + 2 + buckets;
  for (uint32_t i = old_hash_[2 + old_hash_of(name) % buckets]; i != 0; i = chain[i]) {
    if (const uint64_t found = address_of(i, name)) return found;
  }
  return 0;
}

uint64_t ElfLookup::address_of(uint32_t index, const char* name) const {
  const Elf64_Sym& symbol = symbols_[index];
  const unsigned type = ELF64_ST_TYPE(symbol.st_info);
  if (symbol.st_shndx == SHN_UNDEF || (type != STT_FUNC && type != kTypeIfunc)) return 0;
  // An old version of the symbol, kept for programs that were linked with it.
  if (versions_ != nullptr && (versions_[index] & kHiddenVersion) != 0) return 0;
  if (!same(strings_ + symbol.st_name, name)) return 0;
  const uint64_t address = bias_ + symbol.st_value;
  if (type == STT_FUNC) return address;
  return reinterpret_cast<uint64_t (*)()>(address)();
}

}  // namespace om::shim
