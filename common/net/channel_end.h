// SPDX-License-Identifier: Apache-2.0
//
// One end of a channel on its way to the half of a thread that uses it, at home or in a body: the connection and the
// keys by which this end seals and opens. No other end has the same keys; whoever hands one on keeps no copy.
#pragma once

#include "common/base/unique_fd.h"
#include "libom/abi/sockets.h"

namespace om {

struct ChannelEnd {
  UniqueFd fd;
  ChannelKeys keys{};
};

}  // namespace om
