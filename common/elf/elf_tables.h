// SPDX-License-Identifier: Apache-2.0
//
// Tables of a 64-bit ELF file that anybody may have made: every read is checked against the file's size.
#pragma once

#include <elf.h>
#include <stdint.h>

#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/base/unique_fd.h"

namespace om {

class ElfTables {
 public:
  // ENOENT, EACCES, ... from opening `path`; EACCES if it is no regular file; ENOEXEC if it is not a 64-bit ELF file of
  // this byte order; EBADMSG if it has too many parts.
  static Result<ElfTables> open(const std::string& path);

  // Empty if it has none, or of another size. EBADMSG if they are outside the file.
  Result<std::vector<Elf64_Phdr>> segments() const;
  Result<std::vector<Elf64_Shdr>> sections() const;

  // Of the section that has the names of sections; not checked.
  size_t names_index() const { return head_.e_shstrndx; }

  // `count` records at `offset`. EBADMSG if they are outside the file.
  template <class T>
  Result<std::vector<T>> records(uint64_t offset, uint64_t count) const {
    if (offset > bytes_ || count > (bytes_ - offset) / sizeof(T)) return outside();
    std::vector<T> out(count);
    if (count != 0) OM_TRY(read_at(offset, out.data(), count * sizeof(T)));
    return out;
  }

 private:
  static Error outside();
  // Exactly `bytes` bytes.
  Result<void> read_at(uint64_t offset, void* to, size_t bytes) const;

  UniqueFd fd_;
  uint64_t bytes_ = 0;
  Elf64_Ehdr head_{};
};

// Whether the file has a section of this name. False for a file without a table of sections. Errors: as
// ElfTables::open().
Result<bool> has_section(const std::string& path, std::string_view name);

}  // namespace om
