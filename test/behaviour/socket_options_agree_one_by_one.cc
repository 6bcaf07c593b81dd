// SPDX-License-Identifier: Apache-2.0
//
// getsockopt() of every option of every level on sockets of several kinds, against a guard page: the same results and
// lengths as natively. Setting what a program sets, in all lengths that are asked for; filters; peers and credentials.
#include "test/lib/om_test.h"

#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <iterator>
#include <span>

static int g_tcp, g_peer, g_udp6, g_unix[2], g_listener;

struct Socket {
  const char* name;
  int* fd;
};
static const Socket kSockets[] = {
    {"tcp", &g_tcp}, {"udp6", &g_udp6}, {"unix", &g_unix[0]}, {"listener", &g_listener}};

static const int kLevels[] = {SOL_SOCKET, IPPROTO_IP, IPPROTO_IPV6, IPPROTO_TCP, IPPROTO_UDP};

static void ask(const Socket& s, int level, int option, socklen_t room) {
  OmGuarded value(room);
  OmGuardedOut<socklen_t> bytes;
  memset(value.data(), 0, room);
  *bytes = room;
  errno = 0;
  const int result = getsockopt(*s.fd, level, option, value.data(), &bytes);
  if (result == 0 || errno != ENOPROTOOPT)
    printf("%s %d %d (%u): %d %d %u\n", s.name, level, option, room, result, errno, *bytes);
}

static void every_option(const Socket* from, const Socket* to) {
  for (const Socket& s : std::span(from, to)) {
    for (const int level : kLevels) {
      for (int option = 0; option < (level == SOL_SOCKET ? 84 : 64); ++option) {
        // Pointers inside, or served by home alone: below.
        if (level == IPPROTO_TCP && option == 35) continue;  // TCP_ZEROCOPY_RECEIVE
        for (const socklen_t room : {4u, 300u}) ask(s, level, option, room);
      }
    }
  }
}

static void set(int fd, const char* name, int level, int option, const void* value,
                socklen_t bytes) {
  OmGuarded exact(bytes);
  memcpy(exact.data(), value, bytes);
  errno = 0;
  const int result = setsockopt(fd, level, option, exact.data(), bytes);
  printf("%s %d %d\n", name, result, errno);
}
#define OM_SET(fd, level, option, value)                 \
  do {                                                   \
    const auto copy = (value);                           \
    set(fd, #option, level, option, &copy, sizeof copy); \
  } while (0)

static int flag(int fd, int level, int option) {
  int value = -1;
  socklen_t bytes = sizeof value;
  OM_SYS(getsockopt(fd, level, option, &value, &bytes));
  return value;
}

static void settings() {
  OM_SET(g_tcp, SOL_SOCKET, SO_PRIORITY, 3);
  OM_SET(g_tcp, SOL_SOCKET, SO_RCVLOWAT, 5);
  OM_SET(g_tcp, SOL_SOCKET, SO_OOBINLINE, 1);
  OM_SET(g_tcp, SOL_SOCKET, SO_TIMESTAMP, 1);
  OM_SET(g_tcp, SOL_SOCKET, SO_MAX_PACING_RATE, 1000000u);
  OM_SET(g_tcp, SOL_SOCKET, SO_INCOMING_CPU, 0);
  OM_SET(g_tcp, SOL_SOCKET, SO_RCVTIMEO, (timeval{7, 0}));
  OM_SET(g_tcp, SOL_SOCKET, SO_SNDTIMEO, (timeval{8, 0}));
  OM_SET(g_tcp, SOL_SOCKET, SO_LINGER, (linger{1, 3}));
  OM_SET(g_tcp, SOL_SOCKET, SO_MARK, 1);
  OM_SET(g_tcp, IPPROTO_IP, IP_TOS, 0x10);
  OM_SET(g_tcp, IPPROTO_IP, IP_TTL, static_cast<char>(33));
  OM_CHECK_EQ(flag(g_tcp, IPPROTO_IP, IP_TTL), 33);
  OM_SET(g_tcp, IPPROTO_TCP, TCP_KEEPIDLE, 55);
  OM_SET(g_tcp, IPPROTO_TCP, TCP_CORK, 1);
  OM_SET(g_tcp, IPPROTO_TCP, TCP_USER_TIMEOUT, 9999);
  OM_CHECK_EQ(flag(g_tcp, IPPROTO_TCP, TCP_USER_TIMEOUT), 9999);
  set(g_tcp, "TCP_CONGESTION", IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
  set(g_tcp, "TCP_CONGESTION", IPPROTO_TCP, TCP_CONGESTION, "none such", 9);
  OM_SET(g_udp6, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
  OM_SET(g_udp6, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 9);
  OM_SET(g_udp6, IPPROTO_UDP, UDP_CORK, 0);
  ipv6_mreq group{};
  group.ipv6mr_multiaddr = {{{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x77}}};
  group.ipv6mr_interface = 1;
  OM_SET(g_udp6, IPPROTO_IPV6, IPV6_JOIN_GROUP, group);
  OM_SET(g_udp6, IPPROTO_IPV6, IPV6_LEAVE_GROUP, group);
  OM_SET(g_unix[0], SOL_SOCKET, SO_PASSCRED, 1);
  OM_SET(g_unix[0], SOL_SOCKET, SO_PEEK_OFF, 0);
  set(g_tcp, "SO_BINDTODEVICE", SOL_SOCKET, SO_BINDTODEVICE, "", 1);
  set(g_tcp, "short", SOL_SOCKET, SO_KEEPALIVE, "x", 1);
  OM_CHECK_ERRNO(setsockopt(g_tcp, SOL_SOCKET, SO_KEEPALIVE, nullptr, 4), EFAULT);
  OM_CHECK_ERRNO(setsockopt(g_tcp, SOL_SOCKET, SO_KEEPALIVE, "x", static_cast<socklen_t>(-1)),
                 EINVAL);
}

static void peers() {
  OmGuardedOut<ucred> peer;
  OmGuardedOut<socklen_t> bytes;
  *bytes = sizeof(ucred);
  OM_SYS(getsockopt(g_unix[0], SOL_SOCKET, SO_PEERCRED, &peer, &bytes));
  OM_CHECK(peer->pid == getpid() && peer->uid == geteuid());
  OmGuardedOut<tcp_info> info;
  *bytes = sizeof(tcp_info);
  OM_SYS(getsockopt(g_tcp, IPPROTO_TCP, TCP_INFO, &info, &bytes));
  OM_CHECK_EQ(info->tcpi_state, TCP_ESTABLISHED);
  constexpr int kPeerPidfd = 77;  // SO_PEERPIDFD
  int process = -1;
  *bytes = sizeof process;
  if (getsockopt(g_unix[0], SOL_SOCKET, kPeerPidfd, &process, &bytes) == 0) close(process);
  // A filter, which home serves: it lets pass datagrams of more than three bytes, cut to four.
  sock_filter code[] = {BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
                        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 3, 0, 1), BPF_STMT(BPF_RET | BPF_K, 4),
                        BPF_STMT(BPF_RET | BPF_K, 0)};
  sock_fprog program{4, code};
  int pair[2];
  OM_SYS(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
  OM_SYS(setsockopt(pair[0], SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program));
  send(pair[1], "no", 2, MSG_DONTWAIT);
  OM_CHECK_EQ(send(pair[1], "passes", 6, 0), 6);
  char text[8];
  OM_CHECK_EQ(recv(pair[0], text, sizeof text, 0), 4);
  OM_SYS(setsockopt(pair[0], SOL_SOCKET, SO_DETACH_FILTER, text, 4));
}

int main() {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t bytes = sizeof address;
  g_listener = OM_SYS(socket(AF_INET, SOCK_STREAM, 0));
  OM_SYS(bind(g_listener, reinterpret_cast<sockaddr*>(&address), sizeof address));
  OM_SYS(listen(g_listener, 1));
  OM_SYS(getsockname(g_listener, reinterpret_cast<sockaddr*>(&address), &bytes));
  g_tcp = OM_SYS(socket(AF_INET, SOCK_STREAM, 0));
  OM_SYS(connect(g_tcp, reinterpret_cast<sockaddr*>(&address), sizeof address));
  g_peer = OM_SYS(accept(g_listener, nullptr, nullptr));
  g_udp6 = socket(AF_INET6, SOCK_DGRAM, 0);
  if (g_udp6 < 0) g_udp6 = OM_SYS(socket(AF_INET, SOCK_DGRAM, 0));
  OM_SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, g_unix));
  om_test_ready();
  om_test_wait_moved();
  every_option(std::begin(kSockets), std::end(kSockets));
  settings();
  every_option(&kSockets[0], &kSockets[1]);
  peers();
}
