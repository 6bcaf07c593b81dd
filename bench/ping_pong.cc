// SPDX-License-Identifier: Apache-2.0
//
// The yardstick of `bench call`: 64 bytes to and fro over one TCP connection on the loopback address,
// blocking, without delay (TCP_NODELAY), between two processes on the CPUs that this one is pinned to.
// For every number on stdin it makes so many round trips and prints nanoseconds per round trip.
//
//   ping_pong
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

namespace {

constexpr size_t kBytes = 64;

[[noreturn]] void die(const char* what) {
  perror(what);
  _exit(1);
}

int64_t now_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * int64_t{1000000000} + now.tv_nsec;
}

bool receive(int fd, char* bytes) {
  for (size_t have = 0; have < kBytes;) {
    const ssize_t got = read(fd, bytes + have, kBytes - have);
    if (got <= 0) return false;
    have += static_cast<size_t>(got);
  }
  return true;
}

void no_delay(int fd) {
  int one = 1;
  if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0) die("TCP_NODELAY");
}

}  // namespace

int main() {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  socklen_t length = sizeof address;
  if (bind(listener, generic, length) != 0 || listen(listener, 1) != 0 ||
      getsockname(listener, generic, &length) != 0) {
    die("listen");
  }
  const pid_t child = fork();
  if (child < 0) die("fork");
  char bytes[kBytes] = {};
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int fd = accept(listener, nullptr, nullptr);
    if (fd < 0) die("accept");
    no_delay(fd);
    while (receive(fd, bytes) && write(fd, bytes, kBytes) == ssize_t{kBytes}) {
    }
    _exit(0);
  }
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(fd, generic, length) != 0) die("connect");
  no_delay(fd);
  long count;
  while (scanf("%ld", &count) == 1 && count > 0) {
    const int64_t start = now_ns();
    for (long i = 0; i < count; ++i) {
      if (write(fd, bytes, kBytes) != ssize_t{kBytes} || !receive(fd, bytes)) die("ping");
    }
    printf("%.3f\n", static_cast<double>(now_ns() - start) / static_cast<double>(count));
    fflush(stdout);
  }
  return 0;
}
