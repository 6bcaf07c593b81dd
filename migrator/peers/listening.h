// SPDX-License-Identifier: Apache-2.0
//
// The sockets on which a node is reached by others: TCP, and UDP for the datagrams of the membership, with the same
// port.
#pragma once

#include "common/base/result.h"
#include "common/base/unique_fd.h"
#include "common/net/address.h"

namespace om::migrator {

struct Listening {
  UniqueFd tcp;
  UniqueFd udp;  // invalid: none
};

// Opens them and updates `address`. If the port is 0 the kernel chooses one that is free for both. Errors: those of
// bind() and listen(), with the port.
Result<Listening> listen_on(Address& address, bool udp);

}  // namespace om::migrator
