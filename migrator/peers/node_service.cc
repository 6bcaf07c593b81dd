// SPDX-License-Identifier: Apache-2.0
#include "migrator/peers/node_service.h"

#include <capnp/rpc-twoparty.h>
#include <fcntl.h>
#include <kj/debug.h>
#include <sys/socket.h>

#include <algorithm>

#include "common/base/log.h"
#include "common/net/answer_first.h"
#include "migrator/peers/open_calls.h"

namespace om::migrator {
namespace {

constexpr Milliseconds kAcceptPause{100};
constexpr int kBacklog =
    4096;  // strangers' are closed on arrival: peers must not queue behind them
constexpr size_t kMaxCallWords = 2048;  // of unanswered calls: 16 KiB
constexpr size_t kMaxPaces = 1024;      // addresses
// How long a peer that was refused has to read why. Closing at once could reset the connection before that.
constexpr Milliseconds kLinger{500};

}  // namespace

Result<UniqueFd> listen_tcp(Address& address) {
  UniqueFd socket(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return errno_error("socket");
  int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(socket.get(), address.raw(), address.raw_size()) != 0) {
    return errno_error("bind " + address.text());
  }
  if (::listen(socket.get(), kBacklog) != 0) return errno_error("listen on " + address.text());
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&bound), &size) != 0) {
    return errno_error("getsockname");
  }
  address = OM_TRY(Address::from_sockaddr(bound));
  return socket;
}

// RPC on a connection. The order matters for destruction, as in PeerLink::Connection.
struct NodeService::Talk {
  Talk(kj::Own<kj::AsyncIoStream> given, wire::Node::Client node)
      : stream(answer_first(kj::mv(given))),
        messages(*stream, kMaxOpenCalls),
        network(messages, capnp::rpc::twoparty::Side::SERVER, peer_reader_options()),
        rpc(capnp::makeRpcServer(network, kj::mv(node))) {
    rpc.setFlowLimit(kMaxCallWords);
  }
  kj::Own<kj::AsyncIoStream> stream;
  OpenCalls messages;
  capnp::TwoPartyVatNetwork network;
  capnp::RpcSystem<capnp::rpc::twoparty::VatId> rpc;
};

struct NodeService::Connection {
  Connection(NodeService& service, const Address& from)
      : owner(service), partner(std::make_shared<Partner>()) {
    partner->from = from;
    owner.connections_.push_back(this);
  }
  ~Connection() { owner.connections_.remove(this); }
  bool ending() { return !drop->isWaiting(); }

  NodeService& owner;
  std::shared_ptr<Partner> partner;
  bool joins = false;
  UniqueFd refused;  // the socket once more, until the handshake is done
  kj::Own<kj::PromiseFulfiller<void>> drop;
  std::unique_ptr<Talk> talk;
};

NodeService::NodeService(UvKj& kj, UniqueFd listener, Local local)
    : kj_(kj),
      listener_(std::move(listener)),
      local_(std::move(local)),
      poller_(kj.loop(), listener_.get()),
      accept_again_(kj.loop()),
      tasks_(kj::heap<kj::TaskSet>(errors_)) {
  listen_on();
}

NodeService::~NodeService() noexcept(false) { tasks_ = nullptr; }

void NodeService::refuse(Refusal::Cause cause, const std::string& source) {
  if (local_.on_refusal) local_.on_refusal(refusal(cause), source);
}

void NodeService::listen_on() {
  poller_.start(UV_READABLE, [this](int, int) { accept_some(); });
}

void NodeService::accept_some() {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  UniqueFd socket(::accept4(listener_.get(), reinterpret_cast<sockaddr*>(&storage), &size,
                            SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!socket) {
    if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) {
      log_error("peer", "{}, again in {} ms", errno_error("accept a node").text(),
                kAcceptPause.count());
      // The socket stays readable: without a pause the loop would do nothing else.
      poller_.stop();
      accept_again_.start(kAcceptPause, [this] { listen_on(); });
    }
    return;
  }
  auto from = Address::from_sockaddr(storage);
  if (!from) return log_warn("peer", "{}, ignoring", from.error().text());
  const bool plain = !local_.tls || !local_.tls();
  if (plain && !local_.knows(*from)) return refuse(Refusal::Cause::kStranger, from->host());
  if (!may_connect(*from)) return refuse(Refusal::Cause::kTooMany, from->host());
  make_room(*from);
  auto connection = kj::heap<Connection>(*this, *from);
  auto end = end_of(*connection, std::move(socket));
  tasks_->add(end.attach(kj::mv(connection)));
}

// A handshake costs this node more than the one who begins it.
bool NodeService::may_connect(const Address& from) {
  const MonotonicTime now = std::chrono::steady_clock::now();
  if (paces_.size() >= kMaxPaces)
    std::erase_if(paces_, [now](const auto& item) { return item.second.rested(now); });
  if (paces_.size() >= kMaxPaces) paces_.clear();
  return paces_.try_emplace(from.host(), kConnectEvery, kConnectsSaved).first->second.take(now);
}

// Among those that have not said hello, by dropping the oldest.
void NodeService::make_room(const Address& from) {
  size_t here = 0, in_all = 0;
  Connection *oldest_here = nullptr, *oldest = nullptr;
  for (Connection* connection : connections_) {
    if (connection->partner->known || connection->ending()) continue;
    ++in_all;
    if (oldest == nullptr) oldest = connection;
    if (!connection->partner->from.same_host(from)) continue;
    ++here;
    if (oldest_here == nullptr) oldest_here = connection;
  }
  Connection* drop =
      here >= kMaxConnections ? oldest_here : (in_all >= kMaxUnknown ? oldest : nullptr);
  if (drop == nullptr) return;
  refuse(Refusal::Cause::kTooMany, drop->partner->from.host());
  drop->drop->fulfill();
}

// Among those that have said hello; in plain text any node may say any peer's name, so none is dropped for it.
bool NodeService::make_room_for(const Connection& member) {
  const Partner& partner = *member.partner;
  size_t count = 0;
  Connection* oldest = nullptr;
  for (Connection* connection : connections_) {
    const Partner& other = *connection->partner;
    const bool same = partner.certificate
                          ? other.certificate && other.certificate->id == partner.certificate->id
                          : other.known && other.from.same_host(partner.from);
    if (!same || connection == &member || connection->ending()) continue;
    ++count;
    if (oldest == nullptr) oldest = connection;
  }
  if (count < kMaxConnections) return true;
  refuse(Refusal::Cause::kTooMany, partner.text());
  if (!partner.certificate) return false;
  oldest->drop->fulfill();
  return true;
}

void NodeService::drop_all() {
  for (Connection* connection : connections_) connection->drop->fulfill();
}

bool NodeService::denied(const Partner& partner) const {
  return local_.desk != nullptr && partner.certificate &&
         local_.desk->denies(partner.certificate->id);
}

void NodeService::drop_denied() {
  for (Connection* connection : connections_) {
    if (denied(*connection->partner)) connection->drop->fulfill();
  }
}

kj::Promise<void> NodeService::end_of(Connection& connection, UniqueFd socket) {
  auto pair = kj::newPromiseAndFulfiller<void>();
  connection.drop = kj::mv(pair.fulfiller);
  connection.refused = UniqueFd(::fcntl(socket.get(), F_DUPFD_CLOEXEC, 0));
  auto served = kj::evalNow([&] {
                  return serve(connection, std::move(socket));
                }).catch_([this, &connection](kj::Exception&& exception) {
    return turn_away(connection, exception);
  });
  return served.exclusiveJoin(kj::mv(pair.promise)).exclusiveJoin(watch(connection));
}

kj::Promise<void> NodeService::serve(Connection& connection, UniqueFd socket) {
  auto tls = local_.tls ? local_.tls() : std::nullopt;
  auto stream = wrap_socket(kj_, std::move(socket));
  if (!tls) {
    if (!make_room_for(connection)) return kj::READY_NOW;
    return talk(connection, kj::mv(stream));
  }
  return tls_accept(std::move(*tls), kj::mv(stream), kj_.after(kFirstHello))
      .then([this, &connection](kj::Own<TlsStream> secured) {
        return meet(connection, kj::mv(secured));
      });
}

kj::Promise<void> NodeService::meet(Connection& connection, kj::Own<TlsStream> stream) {
  connection.refused.reset();
  if (stream->session().protocol() == TlsProtocol::kNode) {
    connection.partner->certificate = stream->session().peer();
    if (denied(*connection.partner)) {
      refuse(Refusal::Cause::kRemoved, connection.partner->text());
      return kj::READY_NOW;
    }
    if (!make_room_for(connection)) return kj::READY_NOW;
    return talk(connection, kj::mv(stream));
  }
  const std::string source = connection.partner->from.host();
  if (!local_.on_joiner) {
    refuse(Refusal::Cause::kNoCertificate, source);
    return kj::READY_NOW;
  }
  connection.joins = true;
  return local_.on_joiner(kj::mv(stream), connection.partner->from)
      .exclusiveJoin(
          kj_.after(kJoinLimit).then([this, source] { refuse(Refusal::Cause::kSilence, source); }));
}

kj::Promise<void> NodeService::talk(Connection& connection, kj::Own<kj::AsyncIoStream> stream) {
  connection.refused.reset();
  connection.talk =
      std::make_unique<Talk>(kj::mv(stream), serve_node(kj_, local_, connection.partner));
  return connection.talk->network.onDisconnect().then([this, &connection] {
    const Partner& partner = *connection.partner;
    if (connection.talk->messages.too_many()) {
      log_warn("peer", "{} has not done with {} calls, its connection was closed", partner.text(),
               kMaxOpenCalls);
    } else if (!partner.known) {
      refuse(partner.certificate ? Refusal::Cause::kHungUp : Refusal::Cause::kProtocol,
             partner.text());
    }
  });
}

// The handshake has failed. The peer is told why, and has some time to read it.
kj::Promise<void> NodeService::turn_away(Connection& connection, const kj::Exception& exception) {
  const Refusal why = explain_failure(exception.getDescription().cStr());
  if (local_.on_refusal) local_.on_refusal(why, connection.partner->from.host());
  if (!connection.refused) return kj::READY_NOW;
  ::shutdown(connection.refused.get(), SHUT_WR);
  return kj_.after(kLinger);
}

kj::Promise<void> NodeService::watch(Connection& connection) {
  return kj_.after(kFirstHello).then([this, &connection]() -> kj::Promise<void> {
    if (connection.joins) return kj::NEVER_DONE;  // it has a limit of its own
    if (connection.partner->known) return watch_idle(connection);
    // A handshake that is not done by now says so itself.
    if (connection.talk) refuse(Refusal::Cause::kSilence, connection.partner->text());
    return connection.talk ? kj::Promise<void>(kj::READY_NOW) : kj_.after(kLinger);
  });
}

kj::Promise<void> NodeService::watch_idle(Connection& connection) {
  return kj_.after(kIdleLimit / 4).then([this, &connection]() -> kj::Promise<void> {
    const Partner& partner = *connection.partner;
    if (partner.busy == 0 && std::chrono::steady_clock::now() - partner.heard > kIdleLimit)
      return kj::READY_NOW;
    return watch_idle(connection);
  });
}

}  // namespace om::migrator
