// SPDX-License-Identifier: Apache-2.0
//
// What a vDSO image offers: its function symbols and where its code is. The deputy and the keeper read the image from
// another process ([vdso] of maps), so it is untrusted: every table is bounds checked and counts are limited. Offsets
// count from the first byte of the image, whatever its link address.
#pragma once

#include <stdint.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace om {

constexpr size_t kVdsoMaxBytes = 1 << 20;
constexpr size_t kVdsoMaxSymbols = 4096;

struct VdsoSymbol {
  std::string
      name;  // "__vdso_clock_gettime"; aliases such as "clock_gettime" are entries of their own
  uint64_t offset = 0;  // inside the text range
  uint64_t size = 0;    // bytes, offset + size inside the text range; 0 if the image does not say
};

struct Vdso {
  uint64_t text_lo =
      0;  // [text_lo, text_hi): the executable segment. A thread with rip in it is "inside
  uint64_t text_hi = 0;             // the vDSO". Not larger than the image.
  std::vector<VdsoSymbol> symbols;  // defined functions, ascending by offset, then name

  const VdsoSymbol* find(std::string_view name) const;
};

// EBADMSG with the reason for anything but a well-formed x86-64 image.
Result<Vdso> parse_vdso(std::span<const std::byte> image);

}  // namespace om
