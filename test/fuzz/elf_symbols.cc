// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target: the symbol table of a file that a process has mapped (common/elf/elf_symbols.h), and look-ups in it.
#include "common/elf/elf_symbols.h"

#include <sys/mman.h>
#include <unistd.h>

#include "common/base/unique_fd.h"
#include "test/fuzz/fuzz.h"

using om::fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  om::UniqueFd file(memfd_create("fuzz", MFD_CLOEXEC));
  require(file && write(file.get(), data, size) == static_cast<ssize_t>(size));
  auto symbols = om::ElfSymbols::read("/proc/self/fd/" + std::to_string(file.get()));
  if (!symbols) return 0;
  for (uint64_t offset = 0; offset < size; offset += 1 + size / 64) {
    const om::ElfSymbol* symbol = symbols->find(offset);
    if (symbol == nullptr) continue;
    require(!symbol->name.empty() && symbol->name.size() < size);
    const uint64_t distance = symbols->distance(*symbol, offset);
    require(symbol->size == 0 || distance < symbol->size);
  }
  static_cast<void>(symbols->find(UINT64_MAX));
  return 0;
}
