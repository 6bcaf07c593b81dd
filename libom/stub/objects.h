// SPDX-License-Identifier: Apache-2.0
//
// Descriptors of memory objects that are away.
#pragma once

#include "libom/stub/stub.h"

namespace om::stub {

constexpr uint32_t kNoObject = ~0u;
// Index in g_home.objects of the object that the descriptor is for, or kNoObject.
// Context: exec
uint32_t object_of(uint64_t fd);
// Whether the call has a descriptor of a memory object that is away, so that only the program, at home, can make it.
// Context: exec
bool needs_object(const HomeCall& c);

}  // namespace om::stub
