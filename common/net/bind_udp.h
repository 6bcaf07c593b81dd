// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/base/result.h"
#include "common/base/unique_fd.h"
#include "common/net/address.h"

namespace om {

// A datagram socket bound to `at`; port 0: the kernel chooses, and `at` says which. [::] is for IPv4, too. It does not
// block. Errors: EADDRINUSE and others of bind().
Result<UniqueFd> bind_udp(Address& at);

}  // namespace om
