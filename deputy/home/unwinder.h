// SPDX-License-Identifier: Apache-2.0
//
// Backtraces of stopped threads, here or on another node: libunwind over registers and memory that somebody else
// fetches. Reads unwind tables where ld.so has mapped them; the vDSO's, too. Names come from the files of this node.
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/elf/elf_symbols.h"
#include "common/elf/mapped_elf.h"
#include "common/proc/maps.h"
#include "libom/abi/layout.h"

namespace om::deputy {

struct StackFrame {
  uint64_t ip = 0;      // of every frame but the first and those below a signal: the return address
  std::string symbol;   // demangled, empty if unknown
  uint64_t offset = 0;  // bytes from the symbol's start
  std::string module;   // file or "[vdso]", empty if the address is in neither
  uint64_t module_offset = 0;  // bytes in that file
  bool signal = false;         // the kernel's signal frame: what follows was interrupted
};

struct FramePlace {
  uint64_t ip = 0,
           sp = 0;      // ip: as in StackFrame
  bool signal = false;  // the kernel's signal frame
};

class Unwinder {
 public:
  using Reader = MappedReader;

  // `root` is prepended to the paths of `maps` ("/proc/PID/root"). `reader` is kept.
  Unwinder(std::vector<proc::Mapping> maps, std::string root, Reader reader);
  ~Unwinder();

  // Innermost first, at most `limit` frames. `gpr` in the order of layout.h. At least one frame; fewer than there
  // are when memory or unwind information is missing.
  std::vector<StackFrame> unwind(std::span<const uint64_t, kGprCount> gpr, size_t limit);
  // The same without names.
  std::vector<FramePlace> walk(std::span<const uint64_t, kGprCount> gpr, size_t limit);

 private:
  struct Library;  // libunwind's types stay out of this header
  struct Table {
    uint64_t start, end;  // of the addresses that it describes
    uint64_t header;      // of .eh_frame_hdr
    uint64_t entries;
  };
  static constexpr uint64_t kPageBytes = 4096;

  bool read(uint64_t address, std::span<std::byte> to);
  const std::optional<Table>& table(const proc::Mapping& map);
  std::optional<Table> find_table(const proc::Mapping& map);
  StackFrame describe(uint64_t ip, bool exact);

  std::vector<proc::Mapping> maps_;
  std::string root_;
  Reader reader_;
  std::map<uint64_t, std::vector<std::byte>> pages_;  // empty: not readable
  std::map<uint64_t, std::optional<Table>> tables_;   // by start of the mapping
  std::map<std::string, std::optional<ElfSymbols>> symbols_;
  const uint64_t* gpr_ = nullptr;  // of the thread that is being unwound
  std::unique_ptr<Library> library_;
};

}  // namespace om::deputy
