// SPDX-License-Identifier: Apache-2.0
#include "common/elf/mapped_elf.h"

#include <errno.h>
#include <string.h>

namespace om {

Result<std::vector<Elf64_Phdr>> mapped_segments(uint64_t base, const MappedReader& read) {
  Elf64_Ehdr head{};
  if (!read(base, std::as_writable_bytes(std::span(&head, 1))))
    return Error{EFAULT, "the ELF header is not readable"};
  if (memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_phentsize != sizeof(Elf64_Phdr) ||
      head.e_phnum > kMappedElfMaxSegments)
    return Error{EBADMSG, "no ELF image"};
  std::vector<Elf64_Phdr> segments(head.e_phnum);
  if (!read(base + head.e_phoff, std::as_writable_bytes(std::span(segments))))
    return Error{EFAULT, "the ELF program headers are not readable"};
  return segments;
}

}  // namespace om
