// SPDX-License-Identifier: Apache-2.0
//
// The baselines of `bench call` and `bench io`: one TCP connection on the loopback address, blocking, with TCP_NODELAY,
// between two processes on the CPUs that this one is pinned to.
//
//   ping_pong          64 bytes to and fro: for every number on stdin that many round trips; prints nanoseconds each
//   ping_pong stream   for every number that many MiB, one at a time, and a byte back; prints nanoseconds per MiB
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <vector>

namespace {

constexpr size_t kBytes = 64, kPiece = 1 << 20;

[[noreturn]] void die(const char* what) {
  perror(what);
  _exit(1);
}

int64_t now_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * int64_t{1000000000} + now.tv_nsec;
}

bool receive(int fd, char* bytes, size_t want) {
  for (size_t have = 0; have < want;) {
    const ssize_t got = read(fd, bytes + have, want - have);
    if (got <= 0) return false;
    have += static_cast<size_t>(got);
  }
  return true;
}

bool send_all(int fd, const char* bytes, size_t n) {
  return write(fd, bytes, n) == static_cast<ssize_t>(n);
}

// The other side: the same, until the connection ends.
[[noreturn]] void answer(int fd, bool stream, std::vector<char>& bytes) {
  long mib = 0;
  while (receive(fd, stream ? reinterpret_cast<char*>(&mib) : bytes.data(),
                 stream ? sizeof mib : kBytes)) {
    for (long i = 0; i < mib; ++i) {
      if (!receive(fd, bytes.data(), kPiece)) _exit(1);
    }
    if (!send_all(fd, bytes.data(), stream ? 1 : kBytes)) _exit(1);
  }
  _exit(0);
}

void ask(int fd, bool stream, long count, std::vector<char>& bytes) {
  if (stream && !send_all(fd, reinterpret_cast<char*>(&count), sizeof count)) die("stream");
  for (long i = 0; i < count; ++i) {
    if (!send_all(fd, bytes.data(), stream ? kPiece : kBytes)) die("ping");
    if (!stream && !receive(fd, bytes.data(), kBytes)) die("ping");
  }
  if (stream && !receive(fd, bytes.data(), 1)) die("stream");
}

void no_delay(int fd) {
  int one = 1;
  if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0) die("TCP_NODELAY");
}

}  // namespace

int main(int argc, char** argv) {
  const bool stream = argc == 2 && strcmp(argv[1], "stream") == 0;
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
  std::vector<char> bytes(kPiece);
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int fd = accept(listener, nullptr, nullptr);
    if (fd < 0) die("accept");
    no_delay(fd);
    answer(fd, stream, bytes);
  }
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(fd, generic, length) != 0) die("connect");
  no_delay(fd);
  long count;
  while (scanf("%ld", &count) == 1 && count > 0) {
    const int64_t start = now_ns();
    ask(fd, stream, count, bytes);
    printf("%.3f\n", static_cast<double>(now_ns() - start) / static_cast<double>(count));
    fflush(stdout);
  }
  return 0;
}
