// SPDX-License-Identifier: Apache-2.0
#include "migrator/node_service.h"

#include <capnp/rpc-twoparty.h>
#include <kj/debug.h>
#include <sys/socket.h>

#include "common/log.h"
#include "common/schema/node.capnp.h"

namespace om::migrator {
namespace {

constexpr Milliseconds kAcceptPause{100};

}  // namespace

Result<UniqueFd> listen_tcp(Address& address) {
  UniqueFd socket(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return errno_error("socket");
  int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(socket.get(), address.raw(), address.raw_size()) != 0) {
    return errno_error("bind " + address.text());
  }
  if (::listen(socket.get(), 64) != 0) return errno_error("listen on " + address.text());
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&bound), &size) != 0) {
    return errno_error("getsockname");
  }
  address = OM_TRY(Address::from_sockaddr(bound));
  return socket;
}

// Cap'n Proto's and KJ's interfaces have no virtual destructors: kj::Own destroys through the type made.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"
class NodeService::Server final : public wire::Node::Server {
 public:
  Server(NodeService& service, Address from) : service_(service), from_(from) {}

  kj::Promise<void> hello(HelloContext context) override {
    auto facts = read_info(context.getParams().getSelf());
    if (!facts) return KJ_EXCEPTION(FAILED, facts.error().text().c_str());
    write_info(service_.local_.facts(), context.getResults().initPeer());
    if (is_peer(facts->name)) service_.local_.on_hello(facts->name);
    return kj::READY_NOW;
  }

  kj::Promise<void> admit(AdmitContext context) override {
    auto verdict = context.getResults().initVerdict();
    auto refusal = judge(context.getParams().getOffer());
    if (refusal) {
      verdict.initRefused().setCode(refusal->code.c_str());
      verdict.getRefused().setMessage(refusal->message.c_str());
    } else {
      verdict.setAccepted();
    }
    return kj::READY_NOW;
  }

 private:
  bool is_peer(const std::string& name) const {
    auto address = service_.local_.address_of(name);
    return address && address->same_host(from_);
  }

  std::optional<Refusal> judge(wire::Offer::Reader wire_offer) {
    auto offer = read_offer(wire_offer);
    if (!offer) return Refusal{"INTERNAL", offer.error().text()};
    if (!is_peer(offer->home_node) || !offer->home.same_host(from_)) {
      return Refusal{"BLOCKED", fmt::format("{} at {} is no peer of this node", offer->home_node,
                                            from_.host())};
    }
    return service_.local_.admit(*offer);
  }

  NodeService& service_;
  Address from_;
};

// Order matters in destruction, as in PeerLink::Connection.
struct NodeService::Connection {
  Connection(NodeService& service, UniqueFd socket, const Address& from)
      : owner(service),
        stream(wrap_socket(service.kj_, std::move(socket))),
        network(*stream, capnp::rpc::twoparty::Side::SERVER, peer_reader_options()),
        rpc(capnp::makeRpcServer(network, kj::heap<Server>(service, from))) {
    ++owner.connections_;
  }
  ~Connection() { --owner.connections_; }
  NodeService& owner;
  kj::Own<kj::AsyncIoStream> stream;
  capnp::TwoPartyVatNetwork network;
  capnp::RpcSystem<capnp::rpc::twoparty::VatId> rpc;
};

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
      // It stays readable: without a pause the loop would do nothing else.
      poller_.stop();
      accept_again_.start(kAcceptPause, [this] { listen_on(); });
    }
    return;
  }
  auto from = Address::from_sockaddr(storage);
  if (!from) return log_warn("peer", "{}, ignoring", from.error().text());
  if (connections_ >= kMaxConnections) {
    return log_warn("peer", "more than {} connections from nodes, ignoring one", kMaxConnections);
  }
  auto connection = kj::heap<Connection>(*this, std::move(socket), *from);
  auto gone = connection->network.onDisconnect();
  tasks_->add(gone.attach(kj::mv(connection)));
}

}  // namespace om::migrator
