// SPDX-License-Identifier: Apache-2.0
//
// Datagrams to everybody on the same links: IPv4 group 239.255.79.77 and IPv6 group ff02::6f6d, on every interface that
// is up and capable of multicast. The outgoing interface is named with each datagram, because without a default route
// the kernel refuses to choose one. Nothing is routed further. All daemons of a machine share the port. Reads a bounded
// number of datagrams in each turn of the loop. Loop thread only.
#pragma once

#include <stdint.h>

#include <functional>
#include <memory>
#include <set>
#include <string_view>

#include "common/base/unique_fd.h"
#include "common/net/address.h"
#include "common/uv/loop.h"

namespace om::members {

class Multicast {
 public:
  static constexpr unsigned kPerTurn = 16;
  using OnDatagram = std::function<void(const Address& from, std::string_view bytes)>;

  // Opens what this machine has of IPv4 and IPv6. Errors: neither can be opened.
  static Result<std::unique_ptr<Multicast>> open(Loop& loop, uint16_t port);
  ~Multicast();

  void start(OnDatagram on_datagram);
  // Joins the groups on interfaces that have come since the last call, and sends to all. Returns to how many groups on
  // how many interfaces it went, each counted.
  size_t send(std::string_view bytes);

 private:
  struct Family {
    Family(Loop& loop, UniqueFd socket) : fd(std::move(socket)), poller(loop, fd.get()) {}
    UniqueFd fd;
    Poller poller;
    std::set<unsigned> joined;  // interfaces
  };

  explicit Multicast(uint16_t port) : port_(port) {}
  static Result<UniqueFd> open_family(int family, uint16_t port);
  bool join(Family& family, int kind, unsigned interface);
  bool send_on(int fd, int kind, unsigned interface, std::string_view bytes);
  void read_some(int fd);

  uint16_t port_;
  OnDatagram on_datagram_;
  std::unique_ptr<Family> v4_;
  std::unique_ptr<Family> v6_;
};

}  // namespace om::members
