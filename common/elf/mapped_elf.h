// SPDX-License-Identifier: Apache-2.0
//
// The program headers of an ELF image that is mapped in another process, by way of whatever reads its memory. The
// process may have scribbled over it, so nothing in it is trusted.
#pragma once

#include <elf.h>
#include <stdint.h>

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "common/base/result.h"

namespace om {

// All bytes at `address` in the process, or false.
using MappedReader = std::function<bool(uint64_t address, std::span<std::byte> to)>;

constexpr size_t kMappedElfMaxSegments = 64;

// Of the image that begins at `base`: ld.so maps the file header and the table that it names. EFAULT: they are not
// readable; EBADMSG: not those of a 64-bit image.
Result<std::vector<Elf64_Phdr>> mapped_segments(uint64_t base, const MappedReader& read);

}  // namespace om
