// SPDX-License-Identifier: Apache-2.0
//
// From the results of a kernel call to the outputs of a Return.
#pragma once

#include "libom/stub/stub.h"

namespace om::stub {

// Packs the outputs of the finished call one after another at t->outs_address.
// Context: exec
void pack(HomeThread* t, const SyscallDesc& desc);

}  // namespace om::stub
