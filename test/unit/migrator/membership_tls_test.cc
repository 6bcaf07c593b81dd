// SPDX-License-Identifier: Apache-2.0
//
// migrator/gossip/open_membership.h with everything but the daemon: nodes with certificates, UDP and TCP on loopback,
// TLS between them, the calls of member_links.h as RPC. Times are the product's.
#include "migrator/gossip/open_membership.h"

#include <capnp/rpc-twoparty.h>
#include <doctest/doctest.h>
#include <sys/socket.h>

#include <algorithm>
#include <list>

#include "common/tls/tls_stream.h"
#include "migrator/gossip/member_links.h"
#include "migrator/identity/cluster_ca.h"
#include "migrator/identity/identity.h"
#include "test/unit/tls/place.h"

namespace om::members {
namespace {

using migrator::ClusterCa;
using migrator::Credentials;

capnp::Data::Reader data_of(const std::string& bytes) {
  return {reinterpret_cast<const capnp::byte*>(bytes.data()), bytes.size()};
}

class Server final : public wire::Node::Server {
 public:
  explicit Server(std::unique_ptr<MemberService>& service) : service_(service) {}

  kj::Promise<void> accused(AccusedContext context) override {
    if (service_ == nullptr) return kj::NEVER_DONE;
    context.getResults().setIncarnation(service_->accused(context.getParams().getIncarnation()));
    return kj::READY_NOW;
  }
  kj::Promise<void> snapshot(SnapshotContext context) override {
    if (service_ == nullptr) return kj::NEVER_DONE;
    const auto after = context.getParams().getAfter();
    const SnapshotPage page =
        service_->page({reinterpret_cast<const char*>(after.begin()), after.size()});
    context.getResults().setRumours(data_of(page.rumours));
    context.getResults().setNext(data_of(page.next));
    return kj::READY_NOW;
  }

 private:
  std::unique_ptr<MemberService>& service_;
};

// One end of a connection by TLS. The order matters for destruction.
struct Connection {
  Connection(kj::Own<TlsStream> given, std::unique_ptr<MemberService>* serves)
      : stream(kj::mv(given)),
        network(*stream, serves != nullptr ? capnp::rpc::twoparty::Side::SERVER
                                           : capnp::rpc::twoparty::Side::CLIENT),
        rpc(serves != nullptr ? capnp::makeRpcServer(network, kj::heap<Server>(*serves))
                              : capnp::makeRpcClient(network)) {}
  kj::Own<TlsStream> stream;
  capnp::TwoPartyVatNetwork network;
  capnp::RpcSystem<capnp::rpc::twoparty::VatId> rpc;
};

struct Node {
  Loop& loop;
  UvKj& kj;
  SystemClock clock;
  Place place;
  OwnDirectory state = place.own();
  Credentials credentials;
  TlsContext context = TlsContext::member(credentials.tls()).value();
  Address listen = *Address::parse("127.0.0.1:0");
  UniqueFd listener;
  std::unique_ptr<Poller> accepts;
  MemberLinks links{kj, [this](const Address& to) { return dial(to); }};
  std::vector<std::string> changes;
  size_t accepted = 0, refused = 0;
  std::unique_ptr<MemberService> service;
  std::vector<kj::Promise<void>> serving;

  Node(Loop& uv, UvKj& uv_kj, const ClusterCa& ca, const migrator::GroupKey& key,
       const std::string& name, uint32_t number, const std::string& contact)
      : loop(uv), kj(uv_kj), credentials(made(ca, key, name, number, contact)) {
    listener = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    REQUIRE(::bind(listener.get(), listen.raw(), listen.raw_size()) == 0);
    REQUIRE(::listen(listener.get(), 64) == 0);
    sockaddr_storage bound{};
    socklen_t size = sizeof bound;
    REQUIRE(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&bound), &size) == 0);
    listen = *Address::from_sockaddr(bound);
    accepts = std::make_unique<Poller>(loop, listener.get());
    accepts->start(UV_READABLE, [this](int, int) { accept(); });
  }

  Credentials made(const ClusterCa& ca, const migrator::GroupKey& key, const std::string& name,
                   uint32_t number, const std::string& contact) {
    const WallTime now = clock.wall();
    const auto identity = migrator::Identity::open(state).value();
    Credentials::Parts parts{ca.sign(identity.request(name).value(), name, number, now).value(),
                             ca.certificate_pem().value(),
                             key,
                             {ca.cluster(), now, {}}};
    if (!contact.empty()) parts.info.contacts.push_back({"", contact});
    return Credentials::make(std::move(parts), identity.key_pem().value()).value();
  }

  void accept() {
    UniqueFd socket(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket) return;
    serving.push_back(
        tls_accept(context, wrap_socket(kj, std::move(socket)), kj.after(kHandshakeLimit))
            .then([this](kj::Own<TlsStream> stream) {
              ++accepted;
              auto connection = kj::heap<Connection>(kj::mv(stream), &service);
              auto end = connection->network.onDisconnect();
              return end.attach(kj::mv(connection));
            })
            .eagerlyEvaluate([this](kj::Exception&&) { ++refused; }));
  }

  kj::Promise<MemberLinks::Dialled> dial(const Address& to) {
    return connect_tcp(kj, *Address::parse("127.0.0.1:0"), to)
        .then([this](kj::Own<kj::AsyncIoStream> stream) {
          return tls_connect(context, kj::mv(stream), std::nullopt, kj.after(kHandshakeLimit));
        })
        .then([](kj::Own<TlsStream> stream) {
          const NodeId id = stream->session().peer().value().id;
          auto connection = std::make_shared<Connection>(kj::mv(stream), nullptr);
          capnp::MallocMessageBuilder message;
          auto host = message.initRoot<capnp::rpc::twoparty::VatId>();
          host.setSide(capnp::rpc::twoparty::Side::SERVER);
          auto client = connection->rpc.bootstrap(host).castAs<wire::Node>();
          return MemberLinks::Dialled{id, connection, kj::mv(client)};
        });
  }

  void start() {
    MembershipOptions options;
    options.listen = listen;
    options.major = 2;
    options.discovery.multicast = false;
    MemberService::Events events;
    events.on_change = [this](ChangeKind kind, const MemberView& about) {
      if (kind == ChangeKind::kRestated) return;
      static const char* const kNames[] = {"joined", "left", "suspected", "down", "up", "denied"};
      changes.push_back(kNames[static_cast<int>(kind)] + (" " + about.name));
    };
    auto opened = open_membership(loop, clock, credentials, state, std::move(options),
                                  links.links(), std::move(events));
    REQUIRE(opened);
    service = std::move(*opened);
    service->start();
  }
  // As kill -9: the kernel refuses connections and datagrams.
  void kill() {
    service.reset();
    accepts.reset();
    listener.reset();
  }
  bool says(const std::string& name, State state_of) const {
    const auto view = service->find(name);
    return view && view->state == state_of;
  }
};

struct World {
  Loop loop;
  UvKj kj{loop};
  SystemClock clock;
  std::list<Node> nodes;

  Node& add(const ClusterCa& ca, const migrator::GroupKey& key, const std::string& name,
            const std::string& contact) {
    return nodes.emplace_back(loop, kj, ca, key, name, static_cast<uint32_t>(nodes.size() + 1),
                              contact);
  }
  bool until(const std::function<bool()>& done, Milliseconds limit = Milliseconds(120000)) {
    const MonotonicTime end = clock.now() + limit;
    Timer tick(loop);
    tick.start_repeating(Milliseconds(20), [] {});
    while (!done()) {
      if (clock.now() > end) return false;
      loop.run_once();
    }
    return true;
  }
};

TEST_CASE("nodes with certificates become members over TLS, and a dead one is down") {
  World world;
  const ClusterCa ca = ClusterCa::make("lab", world.clock.wall()).value();
  const auto key = migrator::GroupKey::make(1).value();
  Node& one = world.add(ca, key, "pc1", "");
  const std::string contact = one.listen.text();
  Node& two = world.add(ca, key, "pc2", contact);
  Node& three = world.add(ca, key, "pc3", contact);
  for (Node* node : {&one, &two, &three}) node->start();
  const auto all_alive = [&] {
    return one.says("pc2", State::kAlive) && one.says("pc3", State::kAlive) &&
           two.says("pc1", State::kAlive) && two.says("pc3", State::kAlive) &&
           three.says("pc1", State::kAlive) && three.says("pc2", State::kAlive);
  };
  REQUIRE(world.until(all_alive));
  CHECK(one.service->find("pc3")->number == 3);
  CHECK(one.service->find("pc3")->id == three.credentials.id());
  CHECK(one.accepted >= 2);

  // A second socket at the same port is refused with the errno that tells the caller why.
  auto again = open_membership(world.loop, world.clock, one.credentials, one.state,
                               {.listen = one.listen, .machine = {}, .discovery = {}}, {}, {});
  REQUIRE_FALSE(again);
  CHECK(again.error().err == EADDRINUSE);

  three.kill();
  REQUIRE(
      world.until([&] { return one.says("pc3", State::kDown) && two.says("pc3", State::kDown); }));
  CHECK(std::count(one.changes.begin(), one.changes.end(), "down pc3") == 1);
  CHECK(one.says("pc2", State::kAlive));
}

TEST_CASE("a node of another cluster gets in neither by TLS nor by datagrams") {
  World world;
  const ClusterCa ca = ClusterCa::make("lab", world.clock.wall()).value();
  const ClusterCa other_ca = ClusterCa::make("lab", world.clock.wall()).value();
  const auto key = migrator::GroupKey::make(1).value();
  Node& one = world.add(ca, key, "pc1", "");
  Node& two = world.add(ca, key, "pc2", one.listen.text());
  // It knows where pc1 is, not more.
  Node& stranger =
      world.add(other_ca, migrator::GroupKey::make(1).value(), "pc9", one.listen.text());
  for (Node& node : world.nodes) node.start();
  REQUIRE(world.until([&] { return one.refused > 0 && two.says("pc1", State::kAlive); }));
  CHECK(stranger.service->members().empty());
  CHECK_FALSE(one.service->find("pc9"));
  CHECK_FALSE(two.service->find("pc9"));
}

}  // namespace
}  // namespace om::members
