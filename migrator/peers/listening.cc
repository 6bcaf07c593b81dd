// SPDX-License-Identifier: Apache-2.0
#include "migrator/peers/listening.h"

#include <errno.h>
#include <fmt/core.h>
#include <sys/socket.h>

#include "migrator/peers/node_service.h"

namespace om::migrator {
namespace {

// Free ports of TCP that may be in use by others for UDP.
constexpr int kTries = 32;

Result<UniqueFd> bind_udp(const Address& address) {
  UniqueFd socket(::socket(address.family(), SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return errno_error("socket");
  if (::bind(socket.get(), address.raw(), address.raw_size()) != 0) {
    return errno_error(
        fmt::format("bind UDP port {}, which has the number of the TCP port,", address.text()));
  }
  return socket;
}

}  // namespace

Result<Listening> listen_on(Address& address, bool udp) {
  for (int left = kTries;; --left) {
    Address at = address;
    Listening listening{OM_TRY(listen_tcp(at)), {}};
    if (udp) {
      auto socket = bind_udp(at);
      const bool again = address.port() == 0 && left > 1;
      if (!socket && again && socket.error().err == EADDRINUSE) continue;
      if (!socket) return socket.error();
      listening.udp = std::move(*socket);
    }
    address = at;
    return listening;
  }
}

}  // namespace om::migrator
