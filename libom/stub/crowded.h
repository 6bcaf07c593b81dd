// SPDX-License-Identifier: Apache-2.0
//
// A new channel for a program that has no descriptor number left.
#pragma once

#include "libom/stub/stub.h"

namespace om::stub {

// Makes one request when the program has no descriptor number left. The channel, under this number, with its keys in
// `keys`, or -errno.
// Context: exec
long ask_here(HomeThread* t, long number, ChannelKeys& keys);

}  // namespace om::stub
