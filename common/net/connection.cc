// SPDX-License-Identifier: Apache-2.0
#include "common/net/connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace om {

void watch_connection(int fd, std::chrono::milliseconds silence) {
  // TCP_USER_TIMEOUT overrides the probe count, on old kernels too.
  constexpr int kOn = 1, kSecond = 1, kProbes = 3;
  const auto limit = static_cast<unsigned>(silence.count());
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &kOn, sizeof kOn);
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &kOn, sizeof kOn);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &kSecond, sizeof kSecond);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &kSecond, sizeof kSecond);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &kProbes, sizeof kProbes);
  ::setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit, sizeof limit);
}

bool is_connected(int fd) {
  tcp_info info{};
  socklen_t size = sizeof info;
  return ::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
         info.tcpi_state == TCP_ESTABLISHED;
}

}  // namespace om
