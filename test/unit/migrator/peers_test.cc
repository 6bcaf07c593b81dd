// SPDX-License-Identifier: Apache-2.0
//
// migrator/peers/node_service.h and peer_link.h with the other end of the connection in the same loop: a peer that
// calls and never says that it has done with the answers.
#include <capnp/rpc.capnp.h>
#include <capnp/serialize.h>
#include <doctest/doctest.h>
#include <errno.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <string>

#include "common/base/version.h"
#include "migrator/peers/node_service.h"
#include "migrator/peers/peer_link.h"

namespace om::migrator {
namespace {

constexpr auto kLimit = std::chrono::seconds(20);

NodeFacts facts_of(const std::string& name) {
  NodeFacts facts;
  facts.name = name;
  facts.protocol = kProtocol;
  return facts;
}

// Bytes on a connection; answers are read and thrown away.
class FloodingPeer {
 public:
  FloodingPeer(UvKj& kj, UniqueFd socket) : kj_(kj), socket_(std::move(socket)) {}

  void bootstrap(uint32_t question) {
    capnp::MallocMessageBuilder message;
    message.initRoot<capnp::rpc::Message>().initBootstrap().setQuestionId(question);
    send(message);
  }
  void say_hello(uint32_t question, uint32_t bootstrap) {
    capnp::MallocMessageBuilder message;
    auto call = message.initRoot<capnp::rpc::Message>().initCall();
    call.setQuestionId(question);
    call.initTarget().initPromisedAnswer().setQuestionId(bootstrap);
    call.setInterfaceId(capnp::typeId<wire::Node>());
    auto hello = call.initParams().getContent().initAs<wire::Node::HelloParams>();
    write_info(facts_of("n2"), hello.initSelf());
    send(message);
  }
  bool closed() const { return closed_; }
  // Whether the other end closes the connection.
  bool is_closed_in_time() {
    while (!closed_ && std::chrono::steady_clock::now() < until_) turn();
    return closed_;
  }

 private:
  void send(capnp::MessageBuilder& message) {
    auto words = capnp::messageToFlatArray(message);
    auto bytes = words.asBytes();
    while (bytes.size() > 0 && !closed_ && std::chrono::steady_clock::now() < until_) {
      const ssize_t n =
          ::send(socket_.get(), bytes.begin(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n > 0) bytes = bytes.slice(static_cast<size_t>(n), bytes.size());
      if (n < 0) turn();
    }
  }
  void turn() {
    std::array<char, 65536> answers;
    const ssize_t n = ::recv(socket_.get(), answers.data(), answers.size(), MSG_DONTWAIT);
    closed_ = n == 0 || (n < 0 && errno != EAGAIN);
    kj_.after(Milliseconds(1)).wait(kj_.wait_scope());
  }

  UvKj& kj_;
  UniqueFd socket_;
  std::chrono::steady_clock::time_point until_ = std::chrono::steady_clock::now() + kLimit;
  bool closed_ = false;
};

struct Listener {
  Address address = *Address::parse("127.0.0.1", 0);
  UniqueFd socket = listen_tcp(address).value();
};

TEST_CASE("a peer that never finishes its calls loses its connection") {
  Loop loop;
  UvKj kj{loop};
  Listener listener;
  const Address& address = listener.address;
  int hellos = 0;
  NodeService::Local local;
  local.facts = [] { return facts_of("n1"); };
  local.knows = [](const Address&) { return true; };
  local.address_of = [&address](const std::string&) { return address; };
  local.on_hello = [&hellos](const std::string&) { hellos++; };
  NodeService service(kj, std::move(listener.socket), std::move(local));
  UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  REQUIRE(::connect(socket.get(), address.raw(), address.raw_size()) == 0);
  FloodingPeer peer(kj, std::move(socket));
  peer.bootstrap(0);
  peer.say_hello(1, 0);  // it may stay now
  const auto most = static_cast<uint32_t>(NodeService::kMaxOpenCalls);
  for (uint32_t i = 2; i < most; i++) peer.bootstrap(i);
  CHECK_FALSE(peer.closed());
  for (uint32_t i = most; i < 2 * most; i++) peer.bootstrap(i);
  CHECK(peer.is_closed_in_time());
  CHECK(hellos == 1);
}

TEST_CASE("a peer has nothing to ask on the connection that was made to it") {
  Loop loop;
  UvKj kj{loop};
  Listener listener;
  std::string reason;
  PeerLink::Local local{*Address::parse("127.0.0.1", 0), [] { return facts_of("n1"); },
                        [&reason](const std::string&, bool, const std::string& why) {
                          if (reason.empty()) reason = why;
                        }};
  PeerLink link(kj, {"n2", listener.address}, local);
  UniqueFd socket;
  while (!socket) {
    kj.after(Milliseconds(1)).wait(kj.wait_scope());
    socket = UniqueFd(::accept4(listener.socket.get(), nullptr, nullptr, SOCK_CLOEXEC));
  }
  FloodingPeer peer(kj, std::move(socket));
  peer.bootstrap(0);
  CHECK(peer.is_closed_in_time());
  while (reason.empty()) kj.after(Milliseconds(1)).wait(kj.wait_scope());
  CHECK(reason.find("too many calls") != std::string::npos);
}

}  // namespace
}  // namespace om::migrator
