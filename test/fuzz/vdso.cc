// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target: the vDSO image of a process (common/elf/vdso.h), which the process can overwrite. Every
// symbol lies in the text range, the range in the image.
#include "common/elf/vdso.h"

#include <string.h>

#include "test/fuzz/fuzz.h"

using om::fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto vdso = om::parse_vdso(std::as_bytes(std::span(data, size)));
  if (!vdso) return 0;
  require(vdso->text_lo <= vdso->text_hi && vdso->text_hi - vdso->text_lo <= size);
  require(vdso->symbols.size() <= om::kVdsoMaxSymbols);
  const uint64_t text = vdso->text_hi - vdso->text_lo;
  uint64_t before = 0;
  for (const om::VdsoSymbol& symbol : vdso->symbols) {
    require(symbol.offset >= before && symbol.offset < text);
    require(symbol.size <= text - symbol.offset);
    require(vdso->find(symbol.name) != nullptr);
    before = symbol.offset;
  }
  return 0;
}
