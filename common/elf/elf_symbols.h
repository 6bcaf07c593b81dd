// SPDX-License-Identifier: Apache-2.0
//
// Function names of a program file or library, for backtraces. A process may have mapped any file, so nothing in it is
// trusted and only the needed pieces are read.
#pragma once

#include <stdint.h>

#include <string>
#include <vector>

#include "common/base/result.h"

namespace om {

struct ElfSymbol {
  uint64_t address = 0;  // as in the file (before relocation)
  uint64_t size = 0;     // bytes, 0 unknown
  std::string name;
};

class ElfSymbols {
 public:
  // Functions of .symtab, or of .dynsym if the file is stripped. ENOENT, EACCES, ... from opening `path`; ENOEXEC if it
  // is not a 64-bit ELF file of this byte order; EBADMSG if its tables are broken.
  static Result<ElfSymbols> read(const std::string& path);

  // The function that contains the byte at `file_offset`, or nullptr. A symbol without a size extends to the next one.
  const ElfSymbol* find(uint64_t file_offset) const;

  // How far the byte at `file_offset` is from the start of `symbol`.
  uint64_t distance(const ElfSymbol& symbol, uint64_t file_offset) const {
    return address_of(file_offset) - symbol.address;
  }

 private:
  struct Segment {
    uint64_t offset, bytes, address;
  };
  static constexpr uint64_t kNowhere = ~uint64_t{0};
  uint64_t address_of(uint64_t file_offset) const;

  std::vector<Segment> segments_;
  std::vector<ElfSymbol> symbols_;  // ascending by address
};

}  // namespace om
