// SPDX-License-Identifier: Apache-2.0
#include "migrator/gossip/gossip_socket.h"

#include <sys/socket.h>

#include <array>
#include <utility>

#include "common/net/bind_udp.h"
#include "migrator/gossip/endpoints.h"

namespace om::members {

struct GossipSocket::Buffers {
  std::array<std::array<char, kMostBytes>, kPerTurn> bytes;
  std::array<sockaddr_storage, kPerTurn> from;
  std::array<iovec, kPerTurn> pieces;
  std::array<mmsghdr, kPerTurn> messages;
};

Result<std::unique_ptr<GossipSocket>> GossipSocket::open(Loop& loop, Address& at) {
  UniqueFd socket = OM_TRY(bind_udp(at));
  return open(loop, std::move(socket), at.family());
}

Result<std::unique_ptr<GossipSocket>> GossipSocket::open(Loop& loop, UniqueFd socket, int family) {
  std::unique_ptr<GossipSocket> made(new GossipSocket(loop, std::move(socket), family));
  if (made->poller_.error() != 0) return plain_error("watch a socket: no room for more");
  return made;
}

GossipSocket::GossipSocket(Loop& loop, UniqueFd socket, int family)
    : socket_(std::move(socket)),
      family_(family),
      buffers_(std::make_unique<Buffers>()),
      poller_(loop, socket_.get()) {}

GossipSocket::~GossipSocket() = default;

void GossipSocket::start(OnDatagram on_datagram) {
  on_datagram_ = std::move(on_datagram);
  poller_.start(UV_READABLE, [this](int, int) { read_some(); });
}

void GossipSocket::read_some() {
  Buffers& buffers = *buffers_;
  for (size_t i = 0; i < kPerTurn; ++i) {
    buffers.pieces[i] = {buffers.bytes[i].data(), buffers.bytes[i].size()};
    msghdr& header = buffers.messages[i].msg_hdr;
    header = {};
    header.msg_name = &buffers.from[i];
    header.msg_namelen = sizeof buffers.from[i];
    header.msg_iov = &buffers.pieces[i];
    header.msg_iovlen = 1;
  }
  // An error is one of an earlier datagram that did not arrive, or that there is nothing.
  const int count = ::recvmmsg(socket_.get(), buffers.messages.data(), kPerTurn, 0, nullptr);
  for (int i = 0; i < count; ++i) {
    const auto at = static_cast<size_t>(i);
    auto from = Address::from_sockaddr(buffers.from[at]);
    if (!from) continue;
    ++received_;
    on_datagram_(plain(*from), {buffers.bytes[at].data(), buffers.messages[at].msg_len});
  }
}

bool GossipSocket::send(const Address& to, std::string_view bytes) {
  const Address target = family_ == AF_INET6 ? mapped(to) : to;
  const bool done = target.family() == family_ &&
                    ::sendto(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
                             target.raw(), target.raw_size()) == static_cast<ssize_t>(bytes.size());
  ++(done ? sent_ : unsent_);
  return done;
}

}  // namespace om::members
