// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target: program files (common/elf/elf_file.h), which anybody can write. The bytes are read as a file, as a
// program to start and as a script.
#include "common/elf/elf_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/unique_fd.h"
#include "test/fuzz/fuzz.h"

using om::fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  om::UniqueFd file(memfd_create("fuzz", MFD_CLOEXEC));
  require(file && write(file.get(), data, size) == static_cast<ssize_t>(size));
  const std::string path = "/proc/self/fd/" + std::to_string(file.get());
  auto part = om::read_elf_file(path, om::ElfSearch::kDynamicOnly);
  auto whole = om::read_elf_file(path, om::ElfSearch::kAllSymbols);
  require(!whole || part);  // reading more finds more errors, not fewer
  if (whole) {
    require(whole->needed == part->needed && whole->interpreter == part->interpreter);
    require(whole->interpreter.size() <= size);
    for (const std::string& name : whole->needed) require(name.size() <= size);
  }
  static_cast<void>(om::resolve_program(path, "/nowhere"));
  return 0;
}
