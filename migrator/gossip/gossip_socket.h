// SPDX-License-Identifier: Apache-2.0
//
// The UDP socket of a node: everything between members that is not TLS, and what is asked of or announced to this
// address for discovery. Reads a bounded number of datagrams in each turn of the loop, into buffers that it has once,
// so that a flood costs time but neither memory nor the turns of others; the kernel drops what comes meanwhile. Loop
// thread only.
#pragma once

#include <stdint.h>

#include <functional>
#include <memory>
#include <string_view>

#include "common/base/unique_fd.h"
#include "common/net/address.h"
#include "common/uv/loop.h"

namespace om::members {

class GossipSocket {
 public:
  static constexpr unsigned kPerTurn = 64;
  // Longer datagrams arrive cut to one byte more than a sealed one may have.
  static constexpr size_t kMostBytes = 1201;

  // `bytes` are valid during the call, which must not destroy the socket.
  using OnDatagram = std::function<void(const Address& from, std::string_view bytes)>;

  // On a socket of bind_udp(), which is bound to an address of this family.
  static Result<std::unique_ptr<GossipSocket>> open(Loop& loop, UniqueFd socket, int family);
  // On a new one.
  static Result<std::unique_ptr<GossipSocket>> open(Loop& loop, Address& at);
  ~GossipSocket();

  void start(OnDatagram on_datagram);
  // False if the kernel refuses: no route, no room, wrong family. A datagram may be lost anyway.
  bool send(const Address& to, std::string_view bytes);

  uint64_t received() const { return received_; }
  uint64_t sent() const { return sent_; }
  uint64_t unsent() const { return unsent_; }  // refused by the kernel

 private:
  struct Buffers;

  GossipSocket(Loop& loop, UniqueFd socket, int family);
  void read_some();

  UniqueFd socket_;
  int family_;
  std::unique_ptr<Buffers> buffers_;
  OnDatagram on_datagram_;
  uint64_t received_ = 0;
  uint64_t sent_ = 0;
  uint64_t unsent_ = 0;
  Poller poller_;  // goes before its socket
};

}  // namespace om::members
