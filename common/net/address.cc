// SPDX-License-Identifier: Apache-2.0
#include "common/net/address.h"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <netdb.h>
#include <string.h>

#include <array>
#include <charconv>
#include <optional>

#include "common/base/log.h"
#include "common/base/text.h"

namespace om {
namespace {

// A decimal number without sign or blanks, leading zeros allowed; false if it exceeds `max`.
bool parse_number(std::string_view text, uint32_t max, uint32_t& value) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && value <= max;
}

const sockaddr_in& as4(const sockaddr_storage& storage) {
  return reinterpret_cast<const sockaddr_in&>(storage);
}
const sockaddr_in6& as6(const sockaddr_storage& storage) {
  return reinterpret_cast<const sockaddr_in6&>(storage);
}

struct Endpoint {
  std::string name;
  uint16_t port;
};

// A host name of letters, digits, dots and hyphens, with or without a port.
std::optional<Endpoint> named_endpoint(std::string_view text, uint16_t default_port) {
  constexpr size_t kMaxName = 253;
  uint32_t port = default_port;
  const size_t colon = text.find(':');
  const std::string_view name = text.substr(0, colon);
  if (colon != text.npos && !parse_number(text.substr(colon + 1), 65535, port)) return std::nullopt;
  const std::string_view letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  // The last label of a name is not a number: 1.2.3 is a mistyped address.
  const std::string_view last = name.substr(name.rfind('.') + 1);
  if (name.empty() || name.size() > kMaxName || name.front() == '-' || name.front() == '.' ||
      last.find_first_of(letters) == last.npos ||
      name.find_first_not_of(std::string(letters) + "0123456789.-") != name.npos)
    return std::nullopt;
  return Endpoint{std::string(name), static_cast<uint16_t>(port)};
}

}  // namespace

bool Address::could_be(std::string_view text) {
  return parse(text).ok() || named_endpoint(text, 0).has_value();
}

Result<Address> Address::look_up(std::string_view text, uint16_t default_port) {
  const auto endpoint = named_endpoint(text, default_port);
  if (!endpoint) return parse(text, default_port);
  addrinfo hints{}, *list = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  const int error = ::getaddrinfo(endpoint->name.c_str(), nullptr, &hints, &list);
  if (error != 0) return plain_error(fmt::format("{}: {}", endpoint->name, ::gai_strerror(error)));
  const addrinfo* best = nullptr;
  for (const addrinfo* item = list; item != nullptr; item = item->ai_next) {
    const bool known = item->ai_family == AF_INET || item->ai_family == AF_INET6;
    if (known && (best == nullptr || (best->ai_family != AF_INET && item->ai_family == AF_INET)))
      best = item;
  }
  Address address;
  if (best != nullptr) {
    ::memcpy(&address.storage_, best->ai_addr, best->ai_addrlen);
    address.set_port(endpoint->port);
  }
  ::freeaddrinfo(list);
  if (best == nullptr) return plain_error(endpoint->name + " has no internet address");
  return address;
}

Result<Address> Address::parse(std::string_view text, uint16_t default_port) {
  Error bad = plain_error("not a numeric address: " + escaped(text, 80));
  std::string_view host = text;
  uint32_t port = default_port;
  size_t colon = text.rfind(':');
  bool bracketed = !text.empty() && text.front() == '[';
  if (bracketed) {
    size_t close = text.find(']');
    if (close == text.npos) return bad;
    host = text.substr(1, close - 1);
    std::string_view rest = text.substr(close + 1);
    if (!rest.empty() && (rest.front() != ':' || !parse_number(rest.substr(1), 65535, port)))
      return bad;
  } else if (colon != text.npos && text.find(':') == colon) {
    host = text.substr(0, colon);
    if (!parse_number(text.substr(colon + 1), 65535, port)) return bad;
  }
  Address address;
  std::string terminated(host);
  sockaddr_in in4{};
  sockaddr_in6 in6{};
  if (!bracketed && ::inet_pton(AF_INET, terminated.c_str(), &in4.sin_addr) == 1) {
    in4.sin_family = AF_INET;
    ::memcpy(&address.storage_, &in4, sizeof in4);
  } else if (::inet_pton(AF_INET6, terminated.c_str(), &in6.sin6_addr) == 1) {
    in6.sin6_family = AF_INET6;
    ::memcpy(&address.storage_, &in6, sizeof in6);
  } else {
    return bad;
  }
  address.set_port(static_cast<uint16_t>(port));
  return address;
}

Result<Address> Address::from_sockaddr(const sockaddr_storage& storage) {
  if (storage.ss_family != AF_INET && storage.ss_family != AF_INET6) {
    return plain_error(fmt::format("address family {} is not supported", storage.ss_family));
  }
  Address address;
  address.storage_ = storage;
  return address;
}

uint16_t Address::port() const {
  return ntohs(family() == AF_INET ? as4(storage_).sin_port : as6(storage_).sin6_port);
}

void Address::set_port(uint16_t port) {
  if (family() == AF_INET) {
    reinterpret_cast<sockaddr_in&>(storage_).sin_port = htons(port);
  } else {
    reinterpret_cast<sockaddr_in6&>(storage_).sin6_port = htons(port);
  }
}

bool Address::is_loopback() const {
  if (family() == AF_INET) return ntohl(as4(storage_).sin_addr.s_addr) >> 24 == 127;
  return ::memcmp(&as6(storage_).sin6_addr, &in6addr_loopback, sizeof in6addr_loopback) == 0;
}

bool Address::is_any() const {
  if (family() == AF_INET) return as4(storage_).sin_addr.s_addr == INADDR_ANY;
  return ::memcmp(&as6(storage_).sin6_addr, &in6addr_any, sizeof in6addr_any) == 0;
}

bool Address::same_host(const Address& other) const {
  if (family() != other.family()) return false;
  if (family() == AF_INET) {
    return as4(storage_).sin_addr.s_addr == as4(other.storage_).sin_addr.s_addr;
  }
  return ::memcmp(&as6(storage_).sin6_addr, &as6(other.storage_).sin6_addr, sizeof(in6_addr)) == 0;
}

std::string Address::host() const {
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  const void* bytes = family() == AF_INET ? static_cast<const void*>(&as4(storage_).sin_addr)
                                          : static_cast<const void*>(&as6(storage_).sin6_addr);
  ::inet_ntop(family(), bytes, buffer.data(), buffer.size());
  return buffer.data();
}

std::string Address::text() const {
  std::string name = family() == AF_INET ? host() : "[" + host() + "]";
  return fmt::format("{}:{}", name, port());
}

socklen_t Address::raw_size() const {
  return family() == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
}

Result<Subnet> Subnet::parse(std::string_view text) {
  Error bad = plain_error("not an IPv4 network such as 10.77.3.0/24: " + escaped(text, 80));
  size_t slash = text.find('/');
  Subnet subnet;
  in_addr network{};
  if (slash == text.npos || !parse_number(text.substr(slash + 1), 32, subnet.bits)) return bad;
  if (::inet_pton(AF_INET, std::string(text.substr(0, slash)).c_str(), &network) != 1) return bad;
  subnet.network = ntohl(network.s_addr);
  uint32_t mask = subnet.bits == 0 ? 0 : ~uint32_t{0} << (32 - subnet.bits);
  if ((subnet.network & ~mask) != 0) return bad;
  return subnet;
}

bool Subnet::contains(const Address& address) const {
  if (address.family() != AF_INET) return false;
  uint32_t host = ntohl(reinterpret_cast<const sockaddr_in*>(address.raw())->sin_addr.s_addr);
  uint32_t mask = bits == 0 ? 0 : ~uint32_t{0} << (32 - bits);
  return (host & mask) == network;
}

std::string Subnet::text() const {
  return fmt::format("{}.{}.{}.{}/{}", network >> 24, network >> 16 & 255, network >> 8 & 255,
                     network & 255, bits);
}

}  // namespace om
