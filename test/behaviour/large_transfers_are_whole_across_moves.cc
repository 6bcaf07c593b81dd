// SPDX-License-Identifier: Apache-2.0
//
// Writes and receipts of far more than a pipe or socket holds, one after the other while the process moves to and
// fro: each is done in full, with the right bytes, wherever it began and ended.
// om-transient: IN_CALL
#include "test/lib/om_test.h"

#include <string.h>
#include <sys/socket.h>
#include <atomic>
#include <thread>
#include <vector>

constexpr size_t kBytes = 400000, kPiece = 9000;

static std::atomic<bool> g_moved{false};

static std::vector<char> pattern() {
  std::vector<char> bytes(kBytes);
  for (size_t i = 0; i < kBytes; ++i) bytes[i] = static_cast<char>(i * 31 + i / 256);
  return bytes;
}

// Children, which stay: one takes slowly what it checks, one gives as slowly.
static void take(int fd) {
  const std::vector<char> want = pattern();
  std::vector<char> piece(kPiece);
  size_t offset = 0;
  for (ssize_t n; (n = read(fd, piece.data(), kPiece)) > 0;) {
    for (ssize_t i = 0; i < n; ++i, offset = (offset + 1) % kBytes) {
      if (piece[static_cast<size_t>(i)] != want[offset]) _exit(1);
    }
    usleep(1000);
  }
  _exit(offset == 0 ? 0 : 2);
}

static void give(int fd) {
  const std::vector<char> bytes = pattern();
  for (size_t offset = 0;;) {
    const size_t n = kPiece < kBytes - offset ? kPiece : kBytes - offset;
    if (send(fd, bytes.data() + offset, n, MSG_NOSIGNAL) != static_cast<ssize_t>(n)) _exit(0);
    offset = (offset + n) % kBytes;
    usleep(1000);
  }
}

// The process at the other end of `ends`, which keeps ends[1].
static pid_t child(const int (&ends)[2], void (*work)(int), const std::vector<int>& others) {
  const pid_t pid = OM_SYS(fork());
  if (pid != 0) {
    close(ends[1]);
    return pid;
  }
  close(ends[0]);
  for (int fd : others) close(fd);
  work(ends[1]);
  _exit(3);
}

int main() {
  int to_pipe[2], to_socket[2], from_socket[2];
  int pipe_ends[2];
  OM_SYS(pipe(pipe_ends));
  to_pipe[0] = pipe_ends[1];
  to_pipe[1] = pipe_ends[0];
  const pid_t first = child(to_pipe, take, {});
  OM_SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, to_socket));
  const pid_t second = child(to_socket, take, {to_pipe[0]});
  OM_SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, from_socket));
  const pid_t third = child(from_socket, give, {to_pipe[0], to_socket[0]});
  constexpr auto kWhole = static_cast<ssize_t>(kBytes);
  const std::vector<char> bytes = pattern();
  std::thread writer([&] {
    do OM_CHECK_EQ(write(to_pipe[0], bytes.data(), kBytes), kWhole);
    while (!g_moved);
  });
  std::thread sender([&] {
    do OM_CHECK_EQ(send(to_socket[0], bytes.data(), kBytes, 0), kWhole);
    while (!g_moved);
  });
  std::thread receiver([&] {
    do {
      std::vector<char> in(kBytes);
      OM_CHECK_EQ(recv(from_socket[0], in.data(), kBytes, MSG_WAITALL), kWhole);
      OM_CHECK(in == bytes);
    } while (!g_moved);
  });
  om_test_ready();
  om_test_wait_moved();
  g_moved = true;
  writer.join();
  sender.join();
  receiver.join();
  for (int fd : {to_pipe[0], to_socket[0], from_socket[0]}) close(fd);
  om_test_join(first);
  om_test_join(second);
  om_test_join(third);
}
