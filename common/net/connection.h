// SPDX-License-Identifier: Apache-2.0
//
// TCP options for connections between nodes, so that the kernel notices a node that is gone or a network that swallows
// packets: it probes an idle connection every second, and breaks it when the other kernel has not answered for
// `silence`. A peer that is merely stopped is unaffected, because its kernel answers.
//
// Any thread. Cannot fail: where the kernel lacks an option, the connection stays as it was.
#pragma once

#include <chrono>

namespace om {

// For sessions and channels. Also how long a peer may go without accepting what is sent to it.
constexpr std::chrono::milliseconds kPeerSilence{3000};
// For page connections, whose ends may be busy.
constexpr std::chrono::milliseconds kBulkSilence{10000};

// Also turns off Nagle's delay: data goes out at once.
void watch_connection(int fd, std::chrono::milliseconds silence);
// Whether neither end has closed the connection and it has not broken.
bool is_connected(int fd);

}  // namespace om
