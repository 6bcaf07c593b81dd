// SPDX-License-Identifier: Apache-2.0
//
// migrator/gossip/member_links.h against members that are RPC servers of the test's, on socket pairs instead of TLS.
#include "migrator/gossip/member_links.h"

#include <capnp/rpc-twoparty.h>
#include <doctest/doctest.h>
#include <sys/socket.h>

#include <map>

#include "migrator/gossip/endpoints.h"

namespace om::members {
namespace {

// A member as others see it over RPC.
class FakeMember final : public wire::Node::Server {
 public:
  struct Script {
    uint64_t incarnation = 7;
    bool silent = false;
    std::vector<SnapshotPage> pages{};
    uint64_t accusations = 0;
  };
  explicit FakeMember(Script& script) : script_(script) {}

  kj::Promise<void> accused(AccusedContext context) override {
    ++script_.accusations;
    if (script_.silent) return kj::NEVER_DONE;
    context.getResults().setIncarnation(
        std::max(script_.incarnation, context.getParams().getIncarnation() + 1));
    return kj::READY_NOW;
  }
  kj::Promise<void> snapshot(SnapshotContext context) override {
    const auto after = context.getParams().getAfter();
    const size_t number = after.size() == 0 ? 0 : after[0];
    const SnapshotPage& page = script_.pages.at(number % script_.pages.size());
    const auto data = [](const std::string& bytes) {
      return capnp::Data::Reader(reinterpret_cast<const capnp::byte*>(bytes.data()), bytes.size());
    };
    context.getResults().setRumours(data(page.rumours));
    context.getResults().setNext(data(page.next));
    return kj::READY_NOW;
  }

 private:
  Script& script_;
};

struct World {
  Loop loop;
  UvKj kj{loop};
  std::map<std::string, std::pair<NodeId, FakeMember::Script*>>
      there;  // by the text of the address
  MemberLinks links{kj, [this](const Address& to) { return dial(to); }};

  kj::Promise<MemberLinks::Dialled> dial(const Address& to) {
    struct Connection {
      Connection(UvKj& kj, FakeMember::Script& script, UniqueFd here, UniqueFd far)
          : client_stream(wrap_socket(kj, std::move(here))),
            server_stream(wrap_socket(kj, std::move(far))),
            server_network(*server_stream, capnp::rpc::twoparty::Side::SERVER),
            client_network(*client_stream, capnp::rpc::twoparty::Side::CLIENT),
            server(capnp::makeRpcServer(server_network, kj::heap<FakeMember>(script))),
            client(capnp::makeRpcClient(client_network)) {}
      kj::Own<kj::AsyncIoStream> client_stream, server_stream;
      capnp::TwoPartyVatNetwork server_network, client_network;
      capnp::RpcSystem<capnp::rpc::twoparty::VatId> server, client;
    };
    const auto at = there.find(to.text());
    if (at == there.end()) return KJ_EXCEPTION(DISCONNECTED, "nobody there");
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    auto connection =
        std::make_shared<Connection>(kj, *at->second.second, UniqueFd(ends[0]), UniqueFd(ends[1]));
    capnp::MallocMessageBuilder message;
    auto host = message.initRoot<capnp::rpc::twoparty::VatId>();
    host.setSide(capnp::rpc::twoparty::Side::SERVER);
    auto node = connection->client.bootstrap(host).castAs<wire::Node>();
    return kj.after(Milliseconds(1))
        .then([id = at->second.first, node = kj::mv(node), connection]() mutable {
          return MemberLinks::Dialled{id, connection, kj::mv(node)};
        });
  }

  // nullopt in the outer one: no answer was given.
  std::optional<uint64_t> accuse(NodeId node, std::vector<HostAddress> addresses) {
    MemberView view;
    view.id = node;
    view.addresses = std::move(addresses);
    view.port = 4700;
    std::optional<std::optional<uint64_t>> answer;
    links.links().accuse(view, 5, [&](std::optional<uint64_t> given) {
      REQUIRE_FALSE(answer);
      answer = given;
    });
    while (!answer) loop.run_once();
    return *answer;
  }
  Result<Fetched> fetch(const std::string& address, std::optional<NodeId> node = {}) {
    std::optional<Result<Fetched>> answer;
    links.links().fetch(*Address::parse(address), node,
                        [&](Result<Fetched> given) { answer.emplace(std::move(given)); });
    while (!answer) loop.run_once();
    return std::move(*answer);
  }
};

SnapshotPage page(uint64_t node, const std::string& next) {
  NodeRecord record;
  record.id = NodeId{node};
  record.name = "n" + std::to_string(node);
  record.addresses = {v4_address(10, 0, 0, 1)};
  record.port = 4700;
  SnapshotPage page{{}, next};
  append_rumour(page.rumours, joined(record, 1));
  return page;
}

TEST_CASE("a suspected node is asked at all its addresses, and has to be itself") {
  World world;
  FakeMember::Script right, other;
  world.there["10.0.0.2:4700"] = {NodeId{2}, &right};
  world.there["10.0.0.3:4700"] = {NodeId{3}, &other};
  const HostAddress nobody = v4_address(10, 0, 0, 9), two = v4_address(10, 0, 0, 2),
                    three = v4_address(10, 0, 0, 3);
  CHECK(world.accuse(NodeId{2}, {two}) == 7u);
  CHECK(world.accuse(NodeId{2}, {nobody, three, two}) == 7u);
  CHECK(world.accuse(NodeId{2}, {nobody}) == std::nullopt);
  CHECK(world.accuse(NodeId{2}, {three}) == std::nullopt);
  CHECK(other.accusations == 0);
  right.incarnation = 1;
  CHECK(world.accuse(NodeId{2}, {two}) == 6u);
}

TEST_CASE("a node that is silent has a second") {
  World world;
  FakeMember::Script silent;
  silent.silent = true;
  world.there["10.0.0.2:4700"] = {NodeId{2}, &silent};
  CHECK(world.accuse(NodeId{2}, {v4_address(10, 0, 0, 2)}) == std::nullopt);
  CHECK(silent.accusations == 1);
}

TEST_CASE("all pages of a member are read, and what is no list is refused") {
  World world;
  FakeMember::Script member;
  world.there["10.0.0.2:4700"] = {NodeId{2}, &member};
  member.pages = {page(11, "\1"), page(12, "\2"), page(13, "")};
  const auto fetched = world.fetch("10.0.0.2:4700");
  REQUIRE(fetched);
  CHECK(fetched->from == NodeId{2});
  REQUIRE(fetched->rumours.size() == 3);
  CHECK(fetched->rumours[2].node == NodeId{13});

  CHECK_FALSE(world.fetch("10.0.0.2:4700", NodeId{3}));
  CHECK_FALSE(world.fetch("10.0.0.9:4700"));
  member.pages = {page(11, "\1"), page(12, "\1")};  // does not rise
  CHECK_FALSE(world.fetch("10.0.0.2:4700"));
  member.pages = {page(11, std::string(kMostCursorBytes + 1, 'x'))};
  CHECK_FALSE(world.fetch("10.0.0.2:4700"));
  member.pages = {SnapshotPage{"no rumour", ""}};
  CHECK_FALSE(world.fetch("10.0.0.2:4700"));
}

}  // namespace
}  // namespace om::members
