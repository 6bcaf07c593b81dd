// SPDX-License-Identifier: Apache-2.0
//
// Calls that a stop of the process would cut short, each in a thread: writes and reads of more than fits at once, and
// waits without a signal. Natively each completes in full; one that does not ends the program. Line k comes when every
// thread has completed a call since line k - 1. Lines and end are those of `numbered`.
//
//   transfers LINES PAUSE_US
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <functional>
#include <thread>
#include <vector>

namespace {

constexpr size_t kBytes = 300000;  // more than a pipe or a socket holds
constexpr size_t kPiece = 7000;

std::atomic<bool> g_stop{false};

void expect(const char* what, long got, long want) {
  if (got == want) return;
  fprintf(stderr, "transfers: %s: got %ld, want %ld, errno %d\n", what, got, want, errno);
  _exit(1);
}

// The byte at `offset` in a thread's stream.
char byte_at(size_t offset) { return static_cast<char>(offset * 31 + offset / 256); }

std::vector<char> pattern() {
  std::vector<char> bytes(kBytes);
  for (size_t i = 0; i < kBytes; ++i) bytes[i] = byte_at(i);
  return bytes;
}

// Runs in a process that stays: reads the pattern from `fd` slowly, over and over, and checks it.
[[noreturn]] void take(int fd) {
  std::array<char, kPiece> piece;
  size_t offset = 0;
  for (;;) {
    const ssize_t n = read(fd, piece.data(), piece.size());
    if (n <= 0) _exit(0);
    for (ssize_t i = 0; i < n; ++i, offset = (offset + 1) % kBytes)
      expect("byte taken", piece[static_cast<size_t>(i)], byte_at(offset));
    usleep(1000);
  }
}

// The same, but writes it.
[[noreturn]] void give(int fd) {
  const std::vector<char> bytes = pattern();
  for (size_t offset = 0;;) {
    const size_t n = std::min(kPiece, kBytes - offset);
    if (write(fd, bytes.data() + offset, n) != static_cast<ssize_t>(n)) _exit(0);
    offset = (offset + n) % kBytes;
    usleep(1000);
  }
}

// The same, but sends datagrams with a number in each.
[[noreturn]] void count(int fd) {
  for (uint32_t k = 0;; ++k) {
    if (send(fd, &k, sizeof k, 0) != sizeof k) _exit(0);
    usleep(3000);
  }
}

// Forks such a process and returns the descriptor for this one. `type`: of its socket; 0: a pipe.
int partner(int type, void (*work)(int), bool takes) {
  int ends[2];
  expect("ends", type != 0 ? socketpair(AF_UNIX, type, 0, ends) : pipe(ends), 0);
  const int theirs = takes ? ends[0] : ends[1], ours = takes ? ends[1] : ends[0];
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    close(STDOUT_FILENO);
    close(ours);
    work(theirs);
  }
  expect("fork", child > 0, 1);
  close(theirs);
  return ours;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const long lines = atol(argv[1]);
  const auto pause_us = static_cast<useconds_t>(atol(argv[2]));
  const int to_pipe = partner(0, take, true), to_socket = partner(SOCK_STREAM, take, true);
  const int vector_pipe = partner(0, take, true);
  const int message_socket = partner(SOCK_STREAM, take, true);
  const int from_socket = partner(SOCK_STREAM, give, false);
  const int array_socket = partner(SOCK_STREAM, take, true);
  const int datagrams = partner(SOCK_DGRAM, count, false);
  const int nothing = epoll_create1(0);
  const std::vector<char> bytes = pattern();
  auto* const data = const_cast<char*>(bytes.data());
  constexpr auto kWhole = static_cast<long>(kBytes);
  const std::function<void()> calls[] = {
      [&] { expect("write", write(to_pipe, data, kBytes), kWhole); },
      [&] { expect("send", send(to_socket, data, kBytes, 0), kWhole); },
      [&] {
        iovec parts[3] = {{data, 100}, {data + 100, 200000}, {data + 200100, kBytes - 200100}};
        expect("writev", writev(vector_pipe, parts, 3), kWhole);
      },
      [&] {
        iovec parts[2] = {{data, 150000}, {data + 150000, kBytes - 150000}};
        msghdr message{};
        message.msg_iov = parts;
        message.msg_iovlen = 2;
        expect("sendmsg", sendmsg(message_socket, &message, 0), kWhole);
      },
      [&] {
        std::vector<char> in(kBytes);
        expect("recv", recv(from_socket, in.data(), kBytes, MSG_WAITALL), kWhole);
        expect("bytes received", memcmp(in.data(), data, kBytes), 0);
      },
      [&] {
        iovec parts[2] = {{data, 140000}, {data + 140000, kBytes - 140000}};
        mmsghdr messages[2] = {};
        for (size_t i = 0; i < 2; ++i) messages[i].msg_hdr.msg_iov = &parts[i];
        for (mmsghdr& m : messages) m.msg_hdr.msg_iovlen = 1;
        expect("sendmmsg", sendmmsg(array_socket, messages, 2, 0), 2);
        expect("first of sendmmsg", messages[0].msg_len, 140000);
        expect("second of sendmmsg", messages[1].msg_len, kBytes - 140000);
      },
      [&, next = uint32_t{0}]() mutable {
        uint32_t in[4] = {};
        iovec parts[4];
        mmsghdr messages[4] = {};
        for (size_t i = 0; i < 4; ++i) {
          parts[i] = {&in[i], sizeof in[i]};
          messages[i].msg_hdr.msg_iov = &parts[i];
          messages[i].msg_hdr.msg_iovlen = 1;
        }
        expect("recvmmsg", recvmmsg(datagrams, messages, 4, 0, nullptr), 4);
        for (uint32_t k : in) expect("number received", k, next++);
      },
      [&] {
        epoll_event event;
        expect("epoll_wait", epoll_wait(nothing, &event, 1, 40), 0);
      },
      [&] {
        sigset_t usr1;
        sigemptyset(&usr1);
        sigaddset(&usr1, SIGUSR1);
        const timespec moment{0, 40000000};
        expect("sigtimedwait", sigtimedwait(&usr1, nullptr, &moment), -1);
        expect("sigtimedwait's errno", errno, EAGAIN);
      },
  };
  std::array<std::atomic<long>, std::size(calls)> done{};
  std::vector<std::thread> threads;
  for (size_t i = 0; i < std::size(calls); ++i) {
    threads.emplace_back([&, i] {
      for (; !g_stop; ++done[i]) calls[i]();
    });
  }
  for (long k = 0; k < lines || access("stop", F_OK) != 0; ++k) {
    std::array<long, std::size(calls)> before{};
    for (size_t i = 0; i < before.size(); ++i) before[i] = done[i];
    for (size_t i = 0; i < before.size(); ++i) {
      while (done[i] == before[i]) usleep(pause_us);
    }
    char line[32];
    const int length = snprintf(line, sizeof line, "%ld\n", k);
    expect("line", write(STDOUT_FILENO, line, static_cast<size_t>(length)), length);
  }
  g_stop = true;
  for (auto& thread : threads) thread.join();
  for (int fd :
       {to_pipe, to_socket, vector_pipe, message_socket, from_socket, array_socket, datagrams})
    close(fd);
  dprintf(STDOUT_FILENO, "sound\n");
  return 7;
}
