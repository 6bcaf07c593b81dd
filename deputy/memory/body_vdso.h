// SPDX-License-Identifier: Apache-2.0
//
// What a body has where home has its vDSO: the same symbols, which lead to libom's functions (libom/gate/vdso.cc).
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "common/base/result.h"
#include "libom/abi/anchor.h"

namespace om::deputy {

// `image`: home's. `gap`: bytes in front of it that are the kernel's, too. The result lies over both, or as far as it
// needs to: its end is the image's.
Result<std::vector<std::byte>> body_vdso(std::span<const std::byte> image, size_t gap,
                                         const Anchor& anchor);

}  // namespace om::deputy
