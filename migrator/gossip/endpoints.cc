// SPDX-License-Identifier: Apache-2.0
#include "migrator/gossip/endpoints.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

#include <algorithm>
#include <map>
#include <memory>

#include "common/base/assert.h"

namespace om::members {
namespace {

const sockaddr_in& as4(const sockaddr* address) {
  return *reinterpret_cast<const sockaddr_in*>(address);
}
const sockaddr_in6& as6(const sockaddr* address) {
  return *reinterpret_cast<const sockaddr_in6*>(address);
}

HostAddress host_address(const sockaddr* address) {
  HostAddress host = v4_address(0, 0, 0, 0);
  if (address->sa_family == AF_INET) {
    ::memcpy(host.bytes.data() + 12, &as4(address).sin_addr, 4);
  } else {
    ::memcpy(host.bytes.data(), &as6(address).sin6_addr, 16);
  }
  return host;
}

template <class Socket>
Address address_from(const Socket& socket) {
  sockaddr_storage storage{};
  ::memcpy(&storage, &socket, sizeof socket);
  auto address = Address::from_sockaddr(storage);
  OM_ASSERT(address.ok());
  return *address;
}

Address v6_endpoint(const HostAddress& host, uint16_t port, uint32_t scope) {
  sockaddr_in6 socket{};
  socket.sin6_family = AF_INET6;
  socket.sin6_port = htons(port);
  socket.sin6_scope_id = scope;
  ::memcpy(&socket.sin6_addr, host.bytes.data(), 16);
  return address_from(socket);
}

// Reachable from other machines, without the name of an interface.
bool is_global(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    const uint32_t host = ntohl(as4(address).sin_addr.s_addr);
    return host >> 24 != 127 && host >> 16 != 0xa9fe && host != 0;
  }
  const in6_addr& host = as6(address).sin6_addr;
  return !IN6_IS_ADDR_LOOPBACK(&host) && !IN6_IS_ADDR_LINKLOCAL(&host) &&
         !IN6_IS_ADDR_UNSPECIFIED(&host);
}

}  // namespace

HostAddress host_address(const Address& address) { return host_address(address.raw()); }

Address endpoint(const HostAddress& host, uint16_t port) {
  if (!host.is_v4()) return v6_endpoint(host, port, 0);
  sockaddr_in socket{};
  socket.sin_family = AF_INET;
  socket.sin_port = htons(port);
  ::memcpy(&socket.sin_addr, host.bytes.data() + 12, 4);
  return address_from(socket);
}

Address plain(const Address& address) {
  const HostAddress host = host_address(address);
  return address.family() == AF_INET6 && host.is_v4() ? endpoint(host, address.port()) : address;
}

Address mapped(const Address& address) {
  if (address.family() != AF_INET) return address;
  return v6_endpoint(host_address(address), address.port(), 0);
}

Result<std::vector<Interface>> interfaces() {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return errno_error("getifaddrs");
  const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> owner(list, ::freeifaddrs);
  std::map<unsigned, Interface> found;
  for (const ifaddrs* item = list; item != nullptr; item = item->ifa_next) {
    if ((item->ifa_flags & IFF_UP) == 0 || item->ifa_addr == nullptr) continue;
    const int family = item->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    const unsigned index = ::if_nametoindex(item->ifa_name);
    if (index == 0) continue;  // gone meanwhile
    Interface& interface = found[index];
    interface.index = index;
    interface.name = item->ifa_name;
    interface.multicast =
        (item->ifa_flags & IFF_MULTICAST) != 0 && (item->ifa_flags & IFF_LOOPBACK) == 0;
    (family == AF_INET ? interface.v4 : interface.v6) = true;
    if (is_global(item->ifa_addr)) interface.addresses.push_back(host_address(item->ifa_addr));
  }
  std::vector<Interface> all;
  for (auto& [index, interface] : found) all.push_back(std::move(interface));
  return all;
}

std::vector<HostAddress> own_addresses(const Address& listen) {
  if (!listen.is_any()) return {host_address(listen)};
  std::vector<HostAddress> all;
  const auto present = interfaces();
  if (!present) return all;
  for (const Interface& interface : *present) {
    for (const HostAddress& address : interface.addresses) {
      const bool reachable = address.is_v4() || listen.family() == AF_INET6;
      if (reachable && all.size() < kMaxAddresses) all.push_back(address);
    }
  }
  return all;
}

}  // namespace om::members
