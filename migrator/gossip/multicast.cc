// SPDX-License-Identifier: Apache-2.0
#include "migrator/gossip/multicast.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include <array>
#include <optional>
#include <utility>

#include "migrator/gossip/endpoints.h"

namespace om::members {
namespace {

constexpr size_t kMostBytes = 512;  // of a datagram; longer ones arrive cut

in_addr v4_group() { return {htonl(0xefff4f4d)}; }  // 239.255.79.77

in6_addr v6_group() {  // ff02::6f6d
  in6_addr group{};
  group.s6_addr[0] = 0xff;
  group.s6_addr[1] = 0x02;
  group.s6_addr[14] = 0x6f;
  group.s6_addr[15] = 0x6d;
  return group;
}

template <class T>
bool set(int fd, int level, int option, const T& value) {
  return ::setsockopt(fd, level, option, &value, sizeof value) == 0;
}

template <class Socket>
bool bind_to(int fd, const Socket& socket) {
  return ::bind(fd, reinterpret_cast<const sockaddr*>(&socket), sizeof socket) == 0;
}

}  // namespace

Result<UniqueFd> Multicast::open_family(int family, uint16_t port) {
  UniqueFd fd(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return errno_error("socket");
  const int on = 1, off = 0;
  set(fd.get(), SOL_SOCKET, SO_REUSEADDR, on);
  bool bound = false;
  if (family == AF_INET) {
    // Only what goes to the group arrives, and only of groups that this socket has joined.
    set(fd.get(), IPPROTO_IP, IP_MULTICAST_ALL, off);
    set(fd.get(), IPPROTO_IP, IP_MULTICAST_TTL, on);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    at.sin_addr = v4_group();
    bound = bind_to(fd.get(), at);
  } else {
    set(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, on);
    set(fd.get(), IPPROTO_IPV6, IPV6_MULTICAST_ALL, off);
    set(fd.get(), IPPROTO_IPV6, IPV6_MULTICAST_HOPS, on);
    sockaddr_in6 at{};
    at.sin6_family = AF_INET6;
    at.sin6_port = htons(port);
    bound = bind_to(fd.get(), at);
  }
  if (!bound) return errno_error("bind a socket for discovery");
  return fd;
}

Result<std::unique_ptr<Multicast>> Multicast::open(Loop& loop, uint16_t port) {
  std::unique_ptr<Multicast> made(new Multicast(port));
  auto v4 = open_family(AF_INET, port);
  if (v4) made->v4_ = std::make_unique<Family>(loop, std::move(*v4));
  auto v6 = open_family(AF_INET6, port);
  if (v6) made->v6_ = std::make_unique<Family>(loop, std::move(*v6));
  if (!v4 && !v6) return v4.error();
  return made;
}

Multicast::~Multicast() = default;

void Multicast::start(OnDatagram on_datagram) {
  on_datagram_ = std::move(on_datagram);
  for (Family* family : {v4_.get(), v6_.get()}) {
    if (family == nullptr) continue;
    family->poller.start(UV_READABLE, [this, fd = family->fd.get()](int, int) { read_some(fd); });
  }
}

bool Multicast::join(Family& family, int kind, unsigned interface) {
  if (family.joined.contains(interface)) return true;
  bool done = false;
  if (kind == AF_INET) {
    ip_mreqn request{};
    request.imr_multiaddr = v4_group();
    request.imr_ifindex = static_cast<int>(interface);
    done = set(family.fd.get(), IPPROTO_IP, IP_ADD_MEMBERSHIP, request);
  } else {
    ipv6_mreq request{};
    request.ipv6mr_multiaddr = v6_group();
    request.ipv6mr_interface = interface;
    done = set(family.fd.get(), IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, request);
  }
  if (done || errno == EADDRINUSE) family.joined.insert(interface);
  return done;
}

bool Multicast::send_on(int fd, int kind, unsigned interface, std::string_view bytes) {
  const auto send_to = [&](const auto& to) {
    return ::sendto(fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
                    reinterpret_cast<const sockaddr*>(&to),
                    sizeof to) == static_cast<ssize_t>(bytes.size());
  };
  if (kind == AF_INET) {
    ip_mreqn through{};
    through.imr_ifindex = static_cast<int>(interface);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port_);
    to.sin_addr = v4_group();
    return set(fd, IPPROTO_IP, IP_MULTICAST_IF, through) && send_to(to);
  }
  sockaddr_in6 to{};
  to.sin6_family = AF_INET6;
  to.sin6_port = htons(port_);
  to.sin6_addr = v6_group();
  to.sin6_scope_id = interface;
  return set(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, static_cast<int>(interface)) && send_to(to);
}

size_t Multicast::send(std::string_view bytes) {
  const auto present = interfaces();
  if (!present) return 0;
  size_t sent = 0;
  std::set<unsigned> indices;
  for (const Interface& interface : *present) {
    if (!interface.multicast) continue;
    indices.insert(interface.index);
    if (v4_ && interface.v4) {
      join(*v4_, AF_INET, interface.index);
      sent += send_on(v4_->fd.get(), AF_INET, interface.index, bytes) ? 1 : 0;
    }
    if (v6_ && interface.v6) {
      join(*v6_, AF_INET6, interface.index);
      sent += send_on(v6_->fd.get(), AF_INET6, interface.index, bytes) ? 1 : 0;
    }
  }
  // With an interface that went, its memberships have gone, too.
  const auto gone = [&](unsigned index) { return !indices.contains(index); };
  if (v4_) std::erase_if(v4_->joined, gone);
  if (v6_) std::erase_if(v6_->joined, gone);
  return sent;
}

void Multicast::read_some(int fd) {
  std::array<char, kMostBytes> bytes;
  for (unsigned i = 0; i < kPerTurn; ++i) {
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    const ssize_t got = ::recvfrom(fd, bytes.data(), bytes.size(), MSG_DONTWAIT,
                                   reinterpret_cast<sockaddr*>(&storage), &size);
    if (got < 0) return;
    const auto from = Address::from_sockaddr(storage);
    if (from) on_datagram_(plain(*from), {bytes.data(), static_cast<size_t>(got)});
  }
}

}  // namespace om::members
