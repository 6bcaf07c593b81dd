// SPDX-License-Identifier: Apache-2.0
//
// The socket between libom at home and the deputy: messages to it, new channels from it.
#pragma once

#include "libom/stub/stub.h"

namespace om::stub {

// Context: exec, catch
void tell_deputy(uint32_t type, uint32_t slot, uint64_t a);
// Replaces a broken channel with a new one from the deputy. Returns when channel.fd is connected.
// Context: exec
void fetch_channel(HomeThread* t);
// Asks the deputy for a channel, to be sent through `end`, one end of a pair; -1: on the deputy socket. 0 or -errno.
// Context: exec
long send_request(const HomeThread* t, int32_t end);
// The descriptor attached to the answer, whose keys are then in `keys`, or -errno.
// Context: exec
long receive_channel(long s, uint32_t flags, ChannelKeys& keys);
// Whether this descriptor number belongs to libom.
inline bool is_ours(uint64_t fd) {
  const auto n = static_cast<int32_t>(fd);
  return g_home.phase == kHomeAway && n >= g_home.fd_base &&
         n <= g_home.fd_base + static_cast<int32_t>(g_home.nslots);
}

}  // namespace om::stub
