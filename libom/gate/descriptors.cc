// SPDX-License-Identifier: Apache-2.0
//
// See descriptors.h.
#include "libom/gate/descriptors.h"

namespace om::gate {

// Context: gate
Place place_of_descriptor(int32_t) { return Place::kHome; }

// Context: gate
Place place_of_call(const SyscallDesc& desc, const uint64_t args[6]) {
  for (uint32_t i = 0; i < desc.nargs; i++) {
    if (desc.args[i].type != ArgType::kFd && desc.args[i].type != ArgType::kAtFd) continue;
    const Place place = place_of_descriptor(static_cast<int32_t>(args[i]));
    if (place != Place::kHome) return place;
  }
  return Place::kHome;
}

}  // namespace om::gate
