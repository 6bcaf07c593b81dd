// SPDX-License-Identifier: Apache-2.0
#include "common/elf/elf_symbols.h"

#include <elf.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "common/base/unique_fd.h"

namespace om {
namespace {

constexpr size_t kMaxSegments = 512;
constexpr size_t kMaxSections = 65535;
constexpr uint64_t kMaxSymbols = uint64_t{4} << 20;
constexpr uint64_t kMaxNameBytes = uint64_t{512} << 20;

Error broken(const char* what) { return Error{EBADMSG, std::string("ELF file: ") + what}; }

// Reads exactly `bytes` bytes at `offset`.
Result<void> read_at(int fd, uint64_t offset, void* to, size_t bytes) {
  size_t done = 0;
  while (done < bytes) {
    if (offset > uint64_t{INT64_MAX} - bytes) return broken("a table is outside the file");
    const ssize_t n =
        ::pread(fd, static_cast<char*>(to) + done, bytes - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_error("read");
    if (n == 0) return broken("a table is outside the file");
    done += static_cast<size_t>(n);
  }
  return {};
}

template <class T>
Result<std::vector<T>> records(int fd, uint64_t file_bytes, uint64_t offset, uint64_t count) {
  if (offset > file_bytes || count > (file_bytes - offset) / sizeof(T))
    return broken("a table is outside the file");
  std::vector<T> out(count);
  if (count != 0) OM_TRY(read_at(fd, offset, out.data(), count * sizeof(T)));
  return out;
}

}  // namespace

Result<ElfSymbols> ElfSymbols::read(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd) return errno_error("open " + path);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return errno_error("stat " + path);
  if (!S_ISREG(info.st_mode)) return Error{EACCES, path + " is not a regular file"};
  const auto file_bytes = static_cast<uint64_t>(info.st_size);

  Elf64_Ehdr head{};
  if (file_bytes < sizeof head) return Error{ENOEXEC, "no ELF file"};
  OM_TRY(read_at(fd.get(), 0, &head, sizeof head));
  if (memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_ident[EI_CLASS] != ELFCLASS64 ||
      head.e_ident[EI_DATA] != ELFDATA2LSB)
    return Error{ENOEXEC, "no 64-bit ELF file"};
  if (head.e_phnum > kMaxSegments || head.e_shnum > kMaxSections) return broken("too many parts");

  ElfSymbols out;
  if (head.e_phnum != 0 && head.e_phentsize == sizeof(Elf64_Phdr)) {
    for (const auto& p :
         OM_TRY(records<Elf64_Phdr>(fd.get(), file_bytes, head.e_phoff, head.e_phnum))) {
      if (p.p_type == PT_LOAD) out.segments_.push_back({p.p_offset, p.p_filesz, p.p_vaddr});
    }
  }
  if (head.e_shnum == 0 || head.e_shentsize != sizeof(Elf64_Shdr)) return out;
  const auto sections =
      OM_TRY(records<Elf64_Shdr>(fd.get(), file_bytes, head.e_shoff, head.e_shnum));
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
  const auto names =
      OM_TRY(records<char>(fd.get(), file_bytes, strings.sh_offset, strings.sh_size));
  for (const auto& s : OM_TRY(records<Elf64_Sym>(fd.get(), file_bytes, table->sh_offset, count))) {
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
