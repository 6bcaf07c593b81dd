// SPDX-License-Identifier: Apache-2.0
//
// Sockets that are no streams between programs: netlink lists the interfaces in several datagrams and reports
// errors, AF_ALG hashes and encrypts, a packet socket is refused.
#include "test/lib/om_test.h"

#include <linux/if_alg.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static void interfaces(int route) {
  struct {
    nlmsghdr head;
    rtgenmsg body;
  } ask{};
  ask.head.nlmsg_len = sizeof ask;
  ask.head.nlmsg_type = RTM_GETLINK;
  ask.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  ask.head.nlmsg_seq = 7;
  OM_CHECK_EQ(send(route, &ask, sizeof ask, 0), sizeof ask);
  bool loopback = false, done = false;
  alignas(nlmsghdr) static char text[65536];
  while (!done) {
    sockaddr_nl from{};
    iovec part = {text, sizeof text};
    msghdr message{};
    message.msg_name = &from;
    message.msg_namelen = sizeof from;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    auto left = static_cast<unsigned>(OM_SYS(recvmsg(route, &message, 0)));
    OM_CHECK_EQ(from.nl_pid, 0);
    for (auto* m = reinterpret_cast<nlmsghdr*>(text); NLMSG_OK(m, left); m = NLMSG_NEXT(m, left)) {
      OM_CHECK_EQ(m->nlmsg_seq, 7);
      done = done || m->nlmsg_type == NLMSG_DONE;
      if (m->nlmsg_type != RTM_NEWLINK) continue;
      auto* link = reinterpret_cast<ifinfomsg*>(reinterpret_cast<char*>(m) + NLMSG_HDRLEN);
      loopback = loopback || (link->ifi_flags & IFF_LOOPBACK) != 0;
    }
  }
  OM_CHECK(loopback);
}

static void hash(int algorithm) {
  const int one = OM_SYS(accept(algorithm, nullptr, nullptr));
  OM_CHECK_EQ(send(one, "a", 1, MSG_MORE), 1);
  OM_CHECK_EQ(send(one, "bc", 2, 0), 2);
  OmGuarded digest(32);
  OM_CHECK_EQ(read(one, digest.data(), 32), 32);
  OM_CHECK(memcmp(digest.data(), "\xba\x78\x16\xbf\x8f\x01\xcf\xea", 8) == 0);  // SHA-256 of "abc"
  close(one);
}

int main() {
  const int route = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (route < 0) om_test_skip("no netlink sockets");
  sockaddr_nl self{};
  self.nl_family = AF_NETLINK;
  OM_SYS(bind(route, reinterpret_cast<sockaddr*>(&self), sizeof self));
  int algorithm = socket(AF_ALG, SOCK_SEQPACKET, 0);
  sockaddr_alg name{};
  name.salg_family = AF_ALG;
  strcpy(reinterpret_cast<char*>(name.salg_type), "hash");
  strcpy(reinterpret_cast<char*>(name.salg_name), "sha256");
  if (algorithm >= 0 && bind(algorithm, reinterpret_cast<sockaddr*>(&name), sizeof name) != 0)
    algorithm = -1;
  interfaces(route);
  om_test_ready();
  om_test_wait_moved();
  interfaces(route);
  const int later = OM_SYS(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  interfaces(later);
  socklen_t length = sizeof self;
  OM_SYS(getsockname(route, reinterpret_cast<sockaddr*>(&self), &length));
  OM_CHECK_EQ(self.nl_pid, static_cast<unsigned>(getpid()));
  if (algorithm >= 0) hash(algorithm);
  if (geteuid() != 0) OM_CHECK_ERRNO(socket(AF_PACKET, SOCK_RAW, 0), EPERM);
  OM_CHECK_ERRNO(socket(AF_NETLINK, SOCK_RAW, 999), EPROTONOSUPPORT);
}
