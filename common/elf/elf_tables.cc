// SPDX-License-Identifier: Apache-2.0
#include "common/elf/elf_tables.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

namespace om {
namespace {

constexpr size_t kMaxSegments = 512;
constexpr size_t kMaxSections = 65535;
constexpr uint64_t kMaxSectionNames = uint64_t{16} << 20;

}  // namespace

Error ElfTables::outside() { return Error{EBADMSG, "ELF file: a table is outside the file"}; }

Result<void> ElfTables::read_at(uint64_t offset, void* to, size_t bytes) const {
  size_t done = 0;
  while (done < bytes) {
    if (offset > uint64_t{INT64_MAX} - bytes) return outside();
    const ssize_t n = ::pread(fd_.get(), static_cast<char*>(to) + done, bytes - done,
                              static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_error("read");
    if (n == 0) return outside();
    done += static_cast<size_t>(n);
  }
  return {};
}

Result<ElfTables> ElfTables::open(const std::string& path) {
  ElfTables out;
  out.fd_ = UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!out.fd_) return errno_error("open " + path);
  struct stat info {};
  if (::fstat(out.fd_.get(), &info) != 0) return errno_error("stat " + path);
  if (!S_ISREG(info.st_mode)) return Error{EACCES, path + " is not a regular file"};
  out.bytes_ = static_cast<uint64_t>(info.st_size);
  Elf64_Ehdr& head = out.head_;
  if (out.bytes_ < sizeof head) return Error{ENOEXEC, "no ELF file"};
  OM_TRY(out.read_at(0, &head, sizeof head));
  if (memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_ident[EI_CLASS] != ELFCLASS64 ||
      head.e_ident[EI_DATA] != ELFDATA2LSB)
    return Error{ENOEXEC, "no 64-bit ELF file"};
  if (head.e_phnum > kMaxSegments || head.e_shnum > kMaxSections)
    return Error{EBADMSG, "ELF file: too many parts"};
  return out;
}

Result<std::vector<Elf64_Phdr>> ElfTables::segments() const {
  if (head_.e_phentsize != sizeof(Elf64_Phdr)) return std::vector<Elf64_Phdr>();
  return records<Elf64_Phdr>(head_.e_phoff, head_.e_phnum);
}

Result<std::vector<Elf64_Shdr>> ElfTables::sections() const {
  if (head_.e_shentsize != sizeof(Elf64_Shdr)) return std::vector<Elf64_Shdr>();
  return records<Elf64_Shdr>(head_.e_shoff, head_.e_shnum);
}

Result<bool> has_section(const std::string& path, std::string_view name) {
  const ElfTables file = OM_TRY(ElfTables::open(path));
  const auto sections = OM_TRY(file.sections());
  const size_t at = file.names_index();
  if (at >= sections.size() || sections[at].sh_size > kMaxSectionNames) return false;
  const auto names = OM_TRY(file.records<char>(sections[at].sh_offset, sections[at].sh_size));
  for (const Elf64_Shdr& s : sections) {
    if (s.sh_name >= names.size()) continue;
    const char* const found = names.data() + s.sh_name;
    if (name == std::string_view(found, ::strnlen(found, names.size() - s.sh_name))) return true;
  }
  return false;
}

}  // namespace om
