// SPDX-License-Identifier: Apache-2.0
#include "common/elf/elf_symbols.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#include <algorithm>

#include "common/elf/elf_tables.h"

namespace om {
namespace {

constexpr uint64_t kMaxSymbols = uint64_t{4} << 20;
constexpr uint64_t kMaxNameBytes = uint64_t{512} << 20;

Error broken(const char* what) { return Error{EBADMSG, std::string("ELF file: ") + what}; }

}  // namespace

Result<ElfSymbols> ElfSymbols::read(const std::string& path) {
  const ElfTables file = OM_TRY(ElfTables::open(path));
  ElfSymbols out;
  for (const auto& p : OM_TRY(file.segments())) {
    if (p.p_type == PT_LOAD) out.segments_.push_back({p.p_offset, p.p_filesz, p.p_vaddr});
  }
  const auto sections = OM_TRY(file.sections());
  const Elf64_Shdr* table = nullptr;
  for (const auto& s : sections) {
    if (s.sh_type == SHT_SYMTAB) table = &s;
    if (s.sh_type == SHT_DYNSYM && table == nullptr) table = &s;
  }
  if (table == nullptr) return out;
  if (table->sh_entsize != sizeof(Elf64_Sym) || table->sh_link >= sections.size())
    return broken("a symbol table makes no sense");
  const Elf64_Shdr& strings = sections[table->sh_link];
  const uint64_t count = table->sh_size / sizeof(Elf64_Sym);
  if (count > kMaxSymbols || strings.sh_size > kMaxNameBytes)
    return broken("a symbol table is too large");
  const auto names = OM_TRY(file.records<char>(strings.sh_offset, strings.sh_size));
  for (const auto& s : OM_TRY(file.records<Elf64_Sym>(table->sh_offset, count))) {
    const auto type = ELF64_ST_TYPE(s.st_info);
    if ((type != STT_FUNC && type != STT_GNU_IFUNC) || s.st_shndx == SHN_UNDEF) continue;
    if (s.st_name >= names.size()) return broken("a name is outside its table");
    const char* name = names.data() + s.st_name;
    const size_t length = strnlen(name, names.size() - s.st_name);
    if (length != 0) out.symbols_.push_back({s.st_value, s.st_size, std::string(name, length)});
  }
  std::stable_sort(out.symbols_.begin(), out.symbols_.end(),
                   [](const ElfSymbol& a, const ElfSymbol& b) { return a.address < b.address; });
  return out;
}

uint64_t ElfSymbols::address_of(uint64_t file_offset) const {
  for (const Segment& s : segments_) {
    if (file_offset >= s.offset && file_offset - s.offset < s.bytes)
      return s.address + (file_offset - s.offset);
  }
  return kNowhere;
}

const ElfSymbol* ElfSymbols::find(uint64_t file_offset) const {
  const uint64_t address = address_of(file_offset);
  if (address == kNowhere) return nullptr;
  auto after = std::upper_bound(symbols_.begin(), symbols_.end(), address,
                                [](uint64_t a, const ElfSymbol& s) { return a < s.address; });
  // If several start at one address, take the first that reaches far enough; glibc has many aliases.
  const ElfSymbol* found = nullptr;
  while (after != symbols_.begin()) {
    --after;
    if (found != nullptr && after->address != found->address) break;
    if (after->size == 0 ? found == nullptr : address - after->address < after->size)
      found = &*after;
    if (found == nullptr && address - after->address > (uint64_t{1} << 24)) break;
  }
  return found;
}

}  // namespace om
