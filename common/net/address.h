// SPDX-License-Identifier: Apache-2.0
//
// Internet addresses: what nodes listen on and dial. They are numeric; only look_up() takes names, for text written by
// an administrator. Used by om-migrator (listen address, peers, home addresses in offers) and by om cluster dev.
#pragma once

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

#include <string>
#include <string_view>

#include "common/base/result.h"

namespace om {

class Address {
 public:
  // "127.0.0.1", "127.0.0.1:4500", "::1", "[::1]:4500"; the port defaults to default_port.
  static Result<Address> parse(std::string_view text, uint16_t default_port = 0);
  // The same, or a name, with or without a port, that this machine's resolver knows: its first IPv4 address, else its
  // first address. Blocks for as long as the resolver takes.
  static Result<Address> look_up(std::string_view text, uint16_t default_port = 0);
  // Whether look_up() would accept the syntax; the name may still be unknown.
  static bool could_be(std::string_view text);
  // From getsockname, getpeername or accept. Only AF_INET and AF_INET6.
  static Result<Address> from_sockaddr(const sockaddr_storage& storage);

  uint16_t port() const;
  void set_port(uint16_t port);
  bool is_loopback() const;  // 127.0.0.0/8, ::1
  bool is_any() const;       // 0.0.0.0, ::
  bool same_host(const Address& other) const;

  std::string host() const;  // "127.0.0.1", "::1"
  std::string text() const;  // with port: "127.0.0.1:4500", "[::1]:4500"

  int family() const { return storage_.ss_family; }
  const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t raw_size() const;

 private:
  sockaddr_storage storage_{};
};

// An IPv4 network, "10.77.3.0/24".
struct Subnet {
  uint32_t network = 0;  // host byte order, host bits zero
  uint32_t bits = 0;     // 0..32

  static Result<Subnet> parse(std::string_view text);
  bool contains(const Address& address) const;
  std::string text() const;
};

}  // namespace om
