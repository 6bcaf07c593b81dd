// SPDX-License-Identifier: Apache-2.0
#include "migrator/peers/listening.h"

#include <errno.h>
#include <fmt/core.h>

#include "common/net/bind_udp.h"
#include "migrator/peers/node_service.h"

namespace om::migrator {
namespace {

// Free ports of TCP that may be in use by others for UDP.
constexpr int kTries = 32;

}  // namespace

Result<Listening> listen_on(Address& address, bool udp) {
  for (int left = kTries;; --left) {
    Address at = address;
    Listening listening{OM_TRY(listen_tcp(at)), {}};
    if (udp) {
      auto socket = bind_udp(at);
      const bool again = address.port() == 0 && left > 1;
      if (!socket && again && socket.error().err == EADDRINUSE) continue;
      if (!socket) {
        return Error{
            socket.error().err,
            fmt::format("bind UDP port {}, which has the number of the TCP port,", at.text())};
      }
      listening.udp = std::move(*socket);
    }
    address = at;
    return listening;
  }
}

}  // namespace om::migrator
