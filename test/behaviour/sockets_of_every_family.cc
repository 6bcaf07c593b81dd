// SPDX-License-Identifier: Apache-2.0
//
// socket() for every family and type gives what it gives natively, and what can be made works: datagrams of netlink
// (routes, device events, socket lists), the machine's own sockets (AF_VSOCK), ping, encryption by the kernel,
// packets to an interface. Sockets from before the move go on.
#include "test/lib/om_test.h"

#include <linux/if_alg.h>
#include <linux/if_packet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

// Where there is none the kernel looks for a module each time, so not all types of all.
static void every_family() {
  static constexpr int kKinds[][2] = {
      {AF_UNSPEC, SOCK_STREAM}, {AF_UNIX, SOCK_RAW},         {AF_INET, SOCK_SEQPACKET},
      {AF_INET6, SOCK_RAW},     {AF_KEY, SOCK_RAW},          {AF_NETLINK, SOCK_STREAM},
      {AF_RDS, SOCK_SEQPACKET}, {AF_PPPOX, SOCK_STREAM},     {AF_CAN, SOCK_RAW},
      {AF_TIPC, SOCK_RDM},      {AF_BLUETOOTH, SOCK_STREAM}, {AF_ALG, SOCK_STREAM},
      {AF_VSOCK, SOCK_DGRAM},   {AF_QIPCRTR, SOCK_DGRAM},    {AF_SMC, SOCK_STREAM},
      {AF_XDP, SOCK_RAW},       {46, SOCK_STREAM},           {AF_INET, 77}};
  for (const auto& [family, type] : kKinds) {
    errno = 0;
    const int fd = socket(family, type, 0);
    printf("%d %d %d\n", family, type, fd < 0 ? errno : 0);
    if (fd >= 0) close(fd);
  }
}

// Everything that a dump answers; gives the number of messages of type `want`.
static int dump(int fd, void* ask, size_t bytes, int want) {
  OM_CHECK_EQ(send(fd, ask, bytes, 0), static_cast<ssize_t>(bytes));
  alignas(nlmsghdr) static char text[65536];
  for (int found = 0;;) {
    auto left = static_cast<unsigned>(OM_SYS(recv(fd, text, sizeof text, 0)));
    for (auto* m = reinterpret_cast<nlmsghdr*>(text); NLMSG_OK(m, left); m = NLMSG_NEXT(m, left)) {
      if (m->nlmsg_type == NLMSG_DONE) return found;
      if (m->nlmsg_type == NLMSG_ERROR) return -1;
      found += m->nlmsg_type == want ? 1 : 0;
    }
  }
}

static void routes(int fd, int expected) {
  struct {
    nlmsghdr head;
    rtmsg body;
  } ask{};
  ask.head.nlmsg_len = sizeof ask;
  ask.head.nlmsg_type = RTM_GETROUTE;
  ask.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  const int found = dump(fd, &ask, sizeof ask, RTM_NEWROUTE);
  OM_CHECK(found >= 0 && (expected < 0 || (found > 0) == (expected > 0)));
  ask.head.nlmsg_type = RTM_GETADDR;
  ask.head.nlmsg_len = NLMSG_LENGTH(sizeof(rtgenmsg));
  OM_CHECK(dump(fd, &ask, ask.head.nlmsg_len, RTM_NEWADDR) > 0);
}

static void socket_lists() {
  const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
  if (fd < 0) return;
  struct {
    nlmsghdr head;
    unix_diag_req body;
  } ask{};
  ask.head.nlmsg_len = sizeof ask;
  ask.head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  ask.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  ask.body.sdiag_family = AF_UNIX;
  ask.body.udiag_states = ~0u;
  const int found = dump(fd, &ask, sizeof ask, SOCK_DIAG_BY_FAMILY);
  printf("unix sockets: %s\n", found > 0 ? "some" : "none");
  close(fd);
}

static void events(int before) {
  char text[64];
  OM_CHECK_ERRNO(recv(before, text, sizeof text, MSG_DONTWAIT), EAGAIN);
  OmGuardedOut<sockaddr_nl> name;
  OmGuardedOut<socklen_t> bytes;
  *bytes = sizeof(sockaddr_nl);
  OM_SYS(getsockname(before, reinterpret_cast<sockaddr*>(&name), &bytes));
  OM_CHECK_EQ(name->nl_groups, 1);
}

static void host_sockets(int listener) {
  if (listener < 0) return;
  sockaddr_vm name{};
  socklen_t bytes = sizeof name;
  OM_SYS(getsockname(listener, reinterpret_cast<sockaddr*>(&name), &bytes));
  OM_CHECK_EQ(name.svm_family, AF_VSOCK);
  name.svm_cid = VMADDR_CID_LOCAL;
  const int client = OM_SYS(socket(AF_VSOCK, SOCK_STREAM, 0));
  const timeval limit{0, 100000};  // where nothing carries it the answer is its timeout
  OM_SYS(setsockopt(client, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &limit, sizeof limit));
  if (connect(client, reinterpret_cast<sockaddr*>(&name), sizeof name) == 0) {
    const int server = OM_SYS(accept(listener, nullptr, nullptr));
    OM_CHECK_EQ(send(client, "host", 4, 0), 4);
    char text[8];
    OM_CHECK_EQ(recv(server, text, sizeof text, 0), 4);
    close(server);
  } else {
    printf("vsock %d\n", errno);
  }
  close(client);
}

static void ping() {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP);
  printf("ping %d\n", fd < 0 ? errno : 0);
  if (fd < 0) return;
  icmphdr packet{};
  packet.type = ICMP_ECHO;
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  OM_CHECK_EQ(sendto(fd, &packet, sizeof packet, 0, reinterpret_cast<sockaddr*>(&to), sizeof to),
              sizeof packet);
  OM_CHECK_EQ(recv(fd, &packet, sizeof packet, 0), sizeof packet);
  OM_CHECK_EQ(packet.type, ICMP_ECHOREPLY);
  close(fd);
}

// AES-CBC of one block by a socket that was set up before the move.
static int cipher() {
  const int fd = socket(AF_ALG, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  sockaddr_alg name{};
  name.salg_family = AF_ALG;
  strcpy(reinterpret_cast<char*>(name.salg_type), "skcipher");
  strcpy(reinterpret_cast<char*>(name.salg_name), "cbc(aes)");
  if (fd < 0 || bind(fd, reinterpret_cast<sockaddr*>(&name), sizeof name) != 0) return -1;
  OM_SYS(setsockopt(fd, SOL_ALG, ALG_SET_KEY, "0123456789abcdef", 16));
  return OM_SYS(accept(fd, nullptr, nullptr));
}

static void encrypt(int fd, uint32_t operation, const char* in, char* out) {
  alignas(cmsghdr) char control[CMSG_SPACE(4) + CMSG_SPACE(20)] = {};
  iovec part{const_cast<char*>(in), 16};
  msghdr message{};
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  cmsghdr* c = CMSG_FIRSTHDR(&message);
  c->cmsg_level = SOL_ALG;
  c->cmsg_type = ALG_SET_OP;
  c->cmsg_len = CMSG_LEN(4);
  memcpy(CMSG_DATA(c), &operation, 4);
  c = CMSG_NXTHDR(&message, c);
  c->cmsg_level = SOL_ALG;
  c->cmsg_type = ALG_SET_IV;
  c->cmsg_len = CMSG_LEN(20);
  const uint32_t iv_bytes = 16;
  memcpy(CMSG_DATA(c), &iv_bytes, 4);
  OM_CHECK_EQ(sendmsg(fd, &message, 0), 16);
  OM_CHECK_EQ(read(fd, out, 16), 16);
}

int main() {
  const int route = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
  if (route < 0) om_test_skip("no netlink sockets");
  const int device = OM_SYS(socket(AF_NETLINK, SOCK_DGRAM, NETLINK_KOBJECT_UEVENT)),
            machine = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_nl group{};
  group.nl_family = AF_NETLINK;
  group.nl_groups = 1;
  OM_SYS(bind(device, reinterpret_cast<sockaddr*>(&group), sizeof group));
  sockaddr_vm any{};
  any.svm_family = AF_VSOCK;
  any.svm_cid = VMADDR_CID_ANY;
  any.svm_port = VMADDR_PORT_ANY;
  int listener = -1;
  if (machine >= 0 && bind(machine, reinterpret_cast<sockaddr*>(&any), sizeof any) == 0 &&
      listen(machine, 1) == 0)
    listener = machine;
  const int aes = cipher();
  char block[16], back[16];
  if (aes >= 0) encrypt(aes, ALG_OP_ENCRYPT, "sixteen letters!", block);
  routes(route, -1);
  om_test_ready();
  om_test_wait_moved();
  routes(route, -1);
  events(device);
  host_sockets(listener);
  if (aes >= 0) {
    encrypt(aes, ALG_OP_DECRYPT, block, back);
    OM_CHECK(memcmp(back, "sixteen letters!", 16) == 0);
  }
  every_family();
  socket_lists();
  ping();
  if (geteuid() != 0) {
    OM_CHECK_ERRNO(socket(AF_PACKET, SOCK_DGRAM, 0), EPERM);
    OM_CHECK_ERRNO(socket(AF_INET, SOCK_RAW, IPPROTO_RAW), EPERM);
  }
}
