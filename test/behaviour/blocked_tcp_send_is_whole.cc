// SPDX-License-Identifier: Apache-2.0
//
// A blocking send of 8 MiB over TCP is under way during the move: whole count, every byte right.
#include "test/lib/om_test.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>

constexpr size_t kBytes = 8 << 20;

static unsigned char pattern(size_t i) { return static_cast<unsigned char>(i * 3 + (i >> 11)); }

int main() {
  int listener = OM_SYS(socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  socklen_t bytes = sizeof address;
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  OM_SYS(bind(listener, reinterpret_cast<sockaddr*>(&address), bytes));
  OM_SYS(listen(listener, 1));
  OM_SYS(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &bytes));
  int client = OM_SYS(socket(AF_INET, SOCK_STREAM, 0));
  OM_SYS(connect(client, reinterpret_cast<sockaddr*>(&address), bytes));
  int server = OM_SYS(accept(listener, nullptr, nullptr));
  pid_t reader = om_test_helper([&] {
    static unsigned char part[70000];
    for (size_t total = 0; total < kBytes;) {
      ssize_t got = OM_SYS(recv(server, part, sizeof part, 0));
      OM_CHECK(got > 0);
      for (ssize_t i = 0; i < got; ++i)
        OM_CHECK_EQ(part[i], pattern(total + static_cast<size_t>(i)));
      total += static_cast<size_t>(got);
    }
  });
  auto* data = static_cast<unsigned char*>(malloc(kBytes));
  for (size_t i = 0; i < kBytes; ++i) data[i] = pattern(i);
  om_test_ready_blocking("sendto");
  OM_CHECK_EQ(send(client, data, kBytes, 0), kBytes);
  om_test_join(reader);
  free(data);
}
