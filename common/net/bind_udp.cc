// SPDX-License-Identifier: Apache-2.0
#include "common/net/bind_udp.h"

#include <netinet/in.h>
#include <sys/socket.h>

namespace om {

Result<UniqueFd> bind_udp(Address& at) {
  UniqueFd socket(::socket(at.family(), SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return errno_error("socket");
  if (at.family() == AF_INET6) {
    const int only = at.is_any() ? 0 : 1;
    ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
  }
  if (::bind(socket.get(), at.raw(), at.raw_size()) != 0)
    return errno_error("bind UDP " + at.text());
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&bound), &size) != 0)
    return errno_error("getsockname");
  at = OM_TRY(Address::from_sockaddr(bound));
  return socket;
}

}  // namespace om
