// SPDX-License-Identifier: Apache-2.0
//
// Calls on sockets under SO_RCVTIMEO and SO_SNDTIMEO that only their timeout ends, each in a thread. Prints "ready",
// then a line for each call: its name, its result (1 for an amount that the kernel chooses), errno, and milliseconds.
//
//   timeouts MILLISECONDS
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace {

timeval g_limit;
std::mutex g_output;

long ms_now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int must(int result) {
  if (result >= 0) return result;
  perror("timeouts");
  exit(2);
}

int limited(int fd) {
  must(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &g_limit, sizeof g_limit));
  must(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &g_limit, sizeof g_limit));
  return fd;
}

// One end of a pair, whose other end has sent `first`.
int end_of_pair(int type, const char* first = "") {
  int ends[2];
  must(socketpair(AF_UNIX, type, 0, ends));
  if (*first != 0) must(static_cast<int>(write(ends[1], first, strlen(first))));
  return limited(ends[0]);
}

int full(int fd) {
  static char s_bytes[4096];
  while (send(fd, s_bytes, sizeof s_bytes, MSG_DONTWAIT) > 0) continue;
  return fd;
}

sockaddr_in any_address() {
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return a;
}

sockaddr* plain(sockaddr_in& a) { return reinterpret_cast<sockaddr*>(&a); }

int listener(sockaddr_in& at, int backlog) {
  const int fd = must(socket(AF_INET, SOCK_STREAM, 0));
  at = any_address();
  socklen_t size = sizeof at;
  must(bind(fd, plain(at), size));
  must(getsockname(fd, plain(at), &size));
  must(listen(fd, backlog));
  return limited(fd);
}

int tcp_end() {
  sockaddr_in at;
  const int door = listener(at, 1), fd = must(socket(AF_INET, SOCK_STREAM, 0));
  must(connect(fd, plain(at), sizeof at));
  must(accept(door, nullptr, nullptr));
  return limited(fd);
}

// A listener that accepts no more connections: further ones wait.
sockaddr_in closed_door() {
  sockaddr_in at;
  listener(at, 0);
  for (int i = 0; i < 4; i++) {
    const int fd = must(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    (void)connect(fd, plain(at), sizeof at);
  }
  return at;
}

struct Call {
  const char* name;
  std::function<long()> make;
};

long some(long n) { return n > 0 ? 1 : n; }

void run(const Call& call) {
  const long start = ms_now();
  errno = 0;
  const long r = call.make();
  const int err = errno;
  const long took = ms_now() - start;
  const std::lock_guard guard(g_output);
  printf("%s %ld %s %ld\n", call.name, r, r < 0 ? strerrorname_np(err) : "-", took);
}

}  // namespace

int main(int argc, char** argv) {
  const long ms = argc == 2 ? atol(argv[1]) : 0;
  if (ms <= 0) return 2;
  g_limit = {ms / 1000, ms % 1000 * 1000};
  setvbuf(stdout, nullptr, _IOLBF, 0);
  static char s_in[64];
  static std::vector<char> s_much(8 << 20);
  static iovec s_parts[2] = {{s_in, 8}, {s_in + 8, 8}};
  static mmsghdr s_messages[3];
  msghdr message{};
  message.msg_iov = s_parts;
  message.msg_iovlen = 2;
  for (mmsghdr& m : s_messages) m.msg_hdr = message;
  sockaddr_in at, shut = closed_door();
  const int door = listener(at, 1), reading = end_of_pair(SOCK_STREAM);
  const int partly = end_of_pair(SOCK_STREAM, "abc"), records = end_of_pair(SOCK_DGRAM, "abc");
  const int stuffed = full(end_of_pair(SOCK_STREAM)), datagrams = full(end_of_pair(SOCK_DGRAM));
  const int outside = must(socket(AF_INET, SOCK_STREAM, 0)), tcp = tcp_end(), tcp_in = tcp_end();
  limited(outside);
  const std::vector<Call> calls = {
      {"recv", [&] { return recv(reading, s_in, 8, 0); }},
      {"recv_all", [&] { return recv(partly, s_in, 8, MSG_WAITALL); }},
      {"recv_tcp", [&] { return recv(tcp_in, s_in, 8, 0); }},
      {"recvmsg", [&] { return recvmsg(reading, &message, 0); }},
      {"read", [&] { return read(reading, s_in, 8); }},
      {"readv", [&] { return readv(reading, s_parts, 2); }},
      {"recvmmsg", [&] { return recvmmsg(reading, s_messages, 3, 0, nullptr); }},
      {"recvmmsg_one", [&] { return recvmmsg(records, s_messages, 3, 0, nullptr); }},
      {"accept", [&] { return accept(door, nullptr, nullptr); }},
      {"accept4", [&] { return accept4(door, nullptr, nullptr, SOCK_CLOEXEC); }},
      {"connect", [&] { return connect(outside, plain(shut), sizeof shut); }},
      {"write", [&] { return write(stuffed, s_in, 8); }},
      {"writev", [&] { return writev(stuffed, s_parts, 2); }},
      {"send", [&] { return send(datagrams, s_in, 8, 0); }},
      {"sendmmsg", [&] { return sendmmsg(datagrams, s_messages, 2, 0); }},
      {"send_tcp", [&] { return some(write(tcp, s_much.data(), s_much.size())); }},
  };
  std::vector<std::thread> threads;
  for (const Call& call : calls) threads.emplace_back(run, std::cref(call));
  printf("ready\n");
  for (auto& thread : threads) thread.join();
  return 7;
}
