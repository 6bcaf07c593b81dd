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

// `image`: home's vDSO. `gap`: bytes in front of it that are the kernel's, too. The result covers the image and as much
// of the gap as it needs; it ends where the image ends.
Result<std::vector<std::byte>> body_vdso(std::span<const std::byte> image, size_t gap,
                                         const Anchor& anchor);

}  // namespace om::deputy
