// SPDX-License-Identifier: Apache-2.0
#include "migrator/peers/node_service.h"

#include <capnp/rpc-twoparty.h>
#include <kj/debug.h>
#include <sys/socket.h>

#include <algorithm>

#include "common/base/log.h"
#include "common/movable/verdict.h"
#include "common/net/answer_first.h"
#include "common/schema/node.capnp.h"
#include "common/schema/outcome.h"
#include "migrator/peers/open_calls.h"
#include "migrator/peers/wire_text.h"

namespace om::migrator {
namespace {

constexpr Milliseconds kAcceptPause{100};
constexpr int kBacklog =
    4096;  // strangers' are closed on arrival: peers must not queue behind them
constexpr size_t kMaxCallWords = 2048;  // of unanswered calls: 16 KiB
// How often a connection may call at most, and how many calls it may save up.
constexpr Milliseconds kHelloEvery{500}, kAdmitEvery{20};
constexpr int kHellosSaved = 16, kAdmitsSaved = 256;

// Computes how long the next call must wait.
class Pace {
 public:
  Pace(Milliseconds every, int saved) : every_(every), saved_(every * saved) {}
  Milliseconds next() {
    const MonotonicTime now = std::chrono::steady_clock::now();
    free_ = std::max(free_, now - saved_) + every_;
    return std::max(Milliseconds(0), std::chrono::ceil<Milliseconds>(free_ - now));
  }

 private:
  Milliseconds every_, saved_;
  MonotonicTime free_{};
};

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

// What calls have told about the other end. A call may outlive its connection.
struct NodeService::Partner {
  bool known = false;  // has identified itself
  MonotonicTime heard = std::chrono::steady_clock::now();
};

// The order matters for destruction, as in PeerLink::Connection.
struct NodeService::Connection {
  Connection(NodeService& service, UniqueFd socket, const Address& address);
  ~Connection() { owner.connections_.remove(this); }
  NodeService& owner;
  Address from;
  std::shared_ptr<Partner> partner;
  kj::Own<kj::PromiseFulfiller<void>> drop;
  kj::Own<kj::AsyncIoStream> stream;
  OpenCalls messages;
  capnp::TwoPartyVatNetwork network;
  capnp::RpcSystem<capnp::rpc::twoparty::VatId> rpc;
};

// Cap'n Proto's and KJ's interfaces have no virtual destructors: kj::Own destroys through the type it was made with.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"
class NodeService::Server final : public wire::Node::Server {
 public:
  Server(NodeService& service, const Address& from, std::shared_ptr<Partner> partner)
      : service_(service), from_(from), partner_(std::move(partner)) {}

  kj::Promise<void> hello(HelloContext context) override {
    return paced(hellos_, context, [this, context]() mutable { return answer_hello(context); });
  }
  kj::Promise<void> admit(AdmitContext context) override {
    return paced(admits_, context, [this, context]() mutable { return answer_offer(context); });
  }

 private:
  template <class Context, class Answer>
  kj::Promise<void> paced(Pace& pace, Context& context, Answer answer) {
    const Milliseconds delay = pace.next();
    if (delay.count() == 0) return answer();
    context.allowCancellation();  // when its connection ends
    return service_.kj_.after(delay).then(kj::mv(answer)).attach(thisCap());
  }

  kj::Promise<void> answer_hello(HelloContext context) {
    auto facts = read_info(context.getParams().getSelf());
    if (!facts) return KJ_EXCEPTION(FAILED, facts.error().text().c_str());
    write_info(service_.local_.facts(), context.getResults().initPeer());
    partner_->heard = std::chrono::steady_clock::now();
    partner_->known = true;
    if (is_peer(facts->name)) service_.local_.on_hello(facts->name);
    return kj::READY_NOW;
  }

  kj::Promise<void> answer_offer(AdmitContext context) {
    partner_->heard = std::chrono::steady_clock::now();
    return judge(context.getParams().getOffer())
        .then([context](std::optional<Reason> reason) mutable {
          write_outcome(reason, context.getResults().initOutcome());
        });
  }

  bool is_peer(const std::string& name) const {
    auto address = service_.local_.address_of(name);
    return address && address->same_host(from_);
  }

  kj::Promise<std::optional<Reason>> judge(wire::Offer::Reader wire_offer) {
    using Answer = std::optional<Reason>;
    auto offer = read_offer(wire_offer);
    if (!offer) return Answer(Reason{ReasonCode::kInternal, offer.error().text()});
    if (!is_peer(offer->home_node) || !offer->home.same_host(from_)) {
      return Answer(refuse(ReasonCode::kBlocked, "{} at {} is no peer of this node",
                           offer->home_node, from_.host()));
    }
    return service_.local_.admit(*offer);
  }

  NodeService& service_;
  Address from_;
  std::shared_ptr<Partner> partner_;
  Pace hellos_{kHelloEvery, kHellosSaved}, admits_{kAdmitEvery, kAdmitsSaved};
};

NodeService::Connection::Connection(NodeService& service, UniqueFd socket, const Address& address)
    : owner(service),
      from(address),
      partner(std::make_shared<Partner>()),
      stream(answer_first(wrap_socket(service.kj_, std::move(socket)))),
      messages(*stream, kMaxOpenCalls),
      network(messages, capnp::rpc::twoparty::Side::SERVER, peer_reader_options()),
      rpc(capnp::makeRpcServer(network, kj::heap<Server>(service, address, partner))) {
  rpc.setFlowLimit(kMaxCallWords);
  owner.connections_.push_back(this);
}

class NodeService::TaskErrors final : public kj::TaskSet::ErrorHandler {
 public:
  void taskFailed(kj::Exception&& exception) override {
    log_warn("peer", "connection from a node: {}", exception.getDescription().cStr());
  }
};
#pragma GCC diagnostic pop

NodeService::NodeService(UvKj& kj, UniqueFd listener, Local local)
    : kj_(kj),
      listener_(std::move(listener)),
      local_(std::move(local)),
      poller_(kj.loop(), listener_.get()),
      accept_again_(kj.loop()),
      errors_(std::make_unique<TaskErrors>()),
      tasks_(kj::heap<kj::TaskSet>(*errors_)) {
  listen_on();
}

NodeService::~NodeService() noexcept(false) { tasks_ = nullptr; }

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
  if (!local_.knows(*from))
    return log_warn("peer", "a connection from no peer's address was closed");
  if (!make_room(*from))
    return log_warn("peer", "more than {} connections from {}, one was closed", kMaxConnections,
                    from->host());
  auto connection = kj::heap<Connection>(*this, std::move(socket), *from);
  auto end = end_of(*connection);
  tasks_->add(end.attach(kj::mv(connection)));
}

// Makes room among connections from this address by dropping one that has not identified itself.
bool NodeService::make_room(const Address& from) {
  size_t count = 0;
  Connection* silent = nullptr;
  for (Connection* connection : connections_) {
    if (!connection->from.same_host(from) || !connection->drop->isWaiting()) continue;
    count++;
    if (!connection->partner->known && silent == nullptr) silent = connection;
  }
  if (count < kMaxConnections) return true;
  if (silent == nullptr) return false;
  silent->drop->fulfill();
  return true;
}

kj::Promise<void> NodeService::end_of(Connection& connection) {
  auto pair = kj::newPromiseAndFulfiller<void>();
  connection.drop = kj::mv(pair.fulfiller);
  auto silent = kj_.after(kFirstHello).then([this, &connection]() -> kj::Promise<void> {
    if (!connection.partner->known) return kj::READY_NOW;
    return watch_idle(connection);
  });
  return connection.network.onDisconnect()
      .then([&connection] {
        if (connection.messages.too_many())
          log_warn("peer", "{} has not done with {} calls, its connection was closed",
                   connection.from.host(), kMaxOpenCalls);
      })
      .exclusiveJoin(kj::mv(pair.promise))
      .exclusiveJoin(kj::mv(silent));
}

kj::Promise<void> NodeService::watch_idle(Connection& connection) {
  return kj_.after(kIdleLimit / 4).then([this, &connection]() -> kj::Promise<void> {
    if (std::chrono::steady_clock::now() - connection.partner->heard > kIdleLimit)
      return kj::READY_NOW;
    return watch_idle(connection);
  });
}

}  // namespace om::migrator
