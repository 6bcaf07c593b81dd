// SPDX-License-Identifier: Apache-2.0
//
// The program headers of an ELF image mapped in another process; the caller supplies the function that reads its
// memory. The process may have overwritten them, so nothing in them is trusted.
#pragma once

#include <elf.h>
#include <stdint.h>

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "common/base/result.h"

namespace om {

// Fills `to` from `address` in the process; false unless all of it can be read.
using MappedReader = std::function<bool(uint64_t address, std::span<std::byte> to)>;

constexpr size_t kMappedElfMaxSegments = 64;

// For the image at `base`: ld.so maps the file header and the table that it names. EFAULT: not readable; EBADMSG: not
// those of a 64-bit image.
Result<std::vector<Elf64_Phdr>> mapped_segments(uint64_t base, const MappedReader& read);

}  // namespace om
