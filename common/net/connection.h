// SPDX-License-Identifier: Apache-2.0
//
// TCP connections between nodes, made so that a peer's node that has gone, or a network that swallows packets, is
// noticed by the kernel: an idle connection is probed every second, and whatever the other kernel has not answered for
// `silence` breaks it. A peer that only stands still is not concerned, its kernel answers.
//
// Any thread. No failure: a kernel without an option leaves the connection as it was.
#pragma once

#include <chrono>

namespace om {

// Of sessions and channels. Also how long a peer may not take what is sent to it.
constexpr std::chrono::milliseconds kPeerSilence{3000};
// Of page connections, whose ends may be busy.
constexpr std::chrono::milliseconds kBulkSilence{10000};

// What is sent goes out at once, and see above.
void watch_connection(int fd, std::chrono::milliseconds silence);
// Neither end has closed the connection, and it has not broken.
bool is_connected(int fd);

}  // namespace om
