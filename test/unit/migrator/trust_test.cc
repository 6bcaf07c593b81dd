// SPDX-License-Identifier: Apache-2.0
//
// migrator/peers/trust.h, and node_service.h and peer_link.h under TLS, all in one loop: who is let in, as whom, and
// what becomes of the others.
#include "migrator/peers/trust.h"

#include <capnp/rpc-twoparty.h>
#include <doctest/doctest.h>
#include <sys/socket.h>

#include <map>
#include <vector>

#include "common/base/version.h"
#include "migrator/peers/node_service.h"
#include "migrator/peers/peer_link.h"
#include "test/unit/tls/lab.h"

namespace om::migrator {
namespace {

using namespace std::chrono_literals;

constexpr auto kLimit = 20s;

NodeFacts facts_of(const std::string& name) {
  NodeFacts facts;
  facts.name = name;
  facts.protocol = kProtocol;
  facts.life = 5;
  facts.cpu_features = {"avx2"};
  return facts;
}

// A state directory as a join leaves it.
void join(const Place& place, const Lab& lab, const char* name, WallTime now) {
  const OwnDirectory own = place.own();
  const auto node = Identity::open(own).value();
  Credentials::Parts parts{lab.ca.sign(node.request(name).value(), name, 3, now).value(),
                           lab.ca.certificate_pem().value(),
                           GroupKey::make(1).value(),
                           {lab.ca.cluster(), now, {}}};
  REQUIRE(Credentials::make(std::move(parts), node.key_pem().value())->save(own).ok());
}

TEST_CASE("what a node believes changes with its files") {
  const auto now =
      std::chrono::time_point_cast<std::chrono::seconds>(std::chrono::system_clock::now());
  const Lab lab, other;
  const Place place;
  CHECK_FALSE(Trust::read("", false)->member());
  CHECK_FALSE(Trust::read(place.at("missing"), false)->tls());
  Trust trust = Trust::read(place.path, false).value();
  CHECK_FALSE(trust.tls());
  const auto reload = [&] { return trust.replace_by(Trust::read(place.path, false).value()); };
  CHECK(reload() == Trust::Change::kNone);
  join(place, lab, "n1", now);
  CHECK(reload() == Trust::Change::kOther);
  CHECK(trust.member()->name() == "n1");
  CHECK(trust.tls());
  CHECK(reload() == Trust::Change::kNone);
  join(place, lab, "n1", now);  // another serial number
  CHECK(reload() == Trust::Change::kRenewed);
  CHECK_FALSE(Trust::read(place.path, true)->tls());
  CHECK(Trust::read(place.path, true)->member());
  join(place, other, "n1", now);
  CHECK(reload() == Trust::Change::kOther);
  REQUIRE(Credentials::forget(place.own()).ok());
  CHECK(reload() == Trust::Change::kOther);
  CHECK_FALSE(trust.tls());
  // Files that cannot be used are an error and no reason to speak in plain text.
  join(place, lab, "n1", now);
  place.write("ca.crt", "damaged");
  CHECK_FALSE(Trust::read(place.path, false).ok());
}

// A listening node, and what it has noticed.
struct Served {
  Loop loop;
  UvKj kj{loop};
  Address address = *Address::parse("127.0.0.1", 0);
  std::optional<TlsContext> tls;
  std::vector<std::string> hellos, offers, joiners;
  std::map<std::string, int> refused;
  std::unique_ptr<NodeService> service;

  explicit Served(std::optional<TlsContext> context, bool joins = false) : tls(std::move(context)) {
    UniqueFd socket = listen_tcp(address).value();
    NodeService::Local local;
    local.facts = [] { return facts_of("n1"); };
    local.knows = [](const Address&) { return true; };
    local.address_of = [this](const std::string&) { return address; };
    local.on_hello = [this](const std::string& name) { hellos.push_back(name); };
    local.admit = [this](const Offer& offer) {
      offers.push_back(offer.home_node + " at " + offer.home.text());
      return kj::evalLater([] { return std::optional<Reason>(); });
    };
    local.tls = [this] { return tls; };
    local.on_refusal = [this](const Refusal& refusal, const std::string&) {
      ++refused[name_of(refusal.cause)];
    };
    if (joins) {
      local.on_joiner = [this](kj::Own<TlsStream> stream, const Address& from) {
        joiners.push_back(from.host());
        auto said = kj::heapArray<char>(5);
        auto read = stream->read(said.begin(), 5);
        return read.then([this, said = kj::mv(said)] { joiners.emplace_back(said.begin(), 5); })
            .attach(kj::mv(stream));
      };
    }
    service = std::make_unique<NodeService>(kj, std::move(socket), std::move(local));
  }

  // Turns the loop until it holds.
  template <class Condition>
  bool wait(Condition condition, Milliseconds limit = kLimit) {
    const auto until = std::chrono::steady_clock::now() + limit;
    while (!condition() && std::chrono::steady_clock::now() < until)
      kj.after(1ms).wait(kj.wait_scope());
    return condition();
  }
  UniqueFd connect() {
    UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    ::connect(socket.get(), address.raw(), address.raw_size());
    return socket;
  }
  // Whether the other end closes the connection.
  bool closed(const UniqueFd& socket) {
    return wait([&] {
      char byte = 0;
      const ssize_t n = ::recv(socket.get(), &byte, 1, MSG_DONTWAIT);
      return n == 0 || (n < 0 && errno != EAGAIN);
    });
  }
};

// A node that dials it.
struct Dialled {
  std::string reason;
  bool up = false;
  PeerLink::Local local;
  std::unique_ptr<PeerLink> link;

  Dialled(Served& served, const std::string& name, std::optional<TlsContext> tls,
          const char* expected = "n1", bool on_demand = false) {
    local.from = *Address::parse("127.0.0.1", 0);
    local.facts = [name] { return facts_of(name); };
    local.on_change = [this](const std::string&, bool now, const std::string& why) {
      up = now;
      reason = why;
    };
    local.tls = [tls] { return tls; };
    local.idle = 100ms;
    link = std::make_unique<PeerLink>(served.kj, Peer{expected, served.address, on_demand}, local);
  }
};

TEST_CASE("members meet, and are who their certificates say") {
  const Lab lab;
  Served served(lab.node("n1"));
  Dialled n2(served, "n2", lab.node("n2"));
  REQUIRE(served.wait([&] { return n2.up; }));
  CHECK(n2.link->encrypted());
  CHECK(served.hellos == std::vector<std::string>{"n2"});
  CHECK(served.refused.empty());
  // One that calls itself what another's certificate says gets no answer.
  Dialled liar(served, "n2", lab.node("n3"));
  REQUIRE(served.wait([&] { return !liar.reason.empty(); }));
  CHECK(liar.reason.find("n3 calls itself n2") != std::string::npos);
  CHECK_FALSE(liar.up);
  CHECK(served.hellos.size() == 1);
}

TEST_CASE("a link on demand is there while somebody needs it") {
  const Lab lab;
  Served served(lab.node("n1"));
  Dialled n2(served, "n2", lab.node("n2"), "n1", true);
  PeerLink& link = *n2.link;
  CHECK_FALSE(served.wait([&] { return link.connected(); }, 50ms));
  CHECK(served.hellos.empty());
  for (size_t round = 1; round <= 2; ++round) {
    // Two who need it at once share one connection.
    auto first = link.reach(), second = link.reach();
    CHECK(first.wait(served.kj.wait_scope()).member);
    CHECK(second.wait(served.kj.wait_scope()).facts.name == "n1");
    CHECK(link.connected());
    CHECK(served.hellos.size() == round);
    // Left out by n1 the second time.
    CHECK(link.facts()->cpu_features == std::vector<std::string>{"avx2"});
    CHECK(served.wait([&] { return !link.connected(); }));
  }
  // Others say whether it is up.
  CHECK_FALSE(link.up());
  link.hold(true, "");
  CHECK(link.up());
  CHECK(link.encrypted());
  CHECK(n2.reason.empty());
  link.hold(false, "");
  CHECK(link.reason() == "does not answer");
}

TEST_CASE("a link on demand says why there is none") {
  const Lab lab, other;
  Served served(lab.node("n1"));
  Dialled stranger(served, "n2", other.node("n2"), "n1", true);
  std::string said;
  stranger.link->member()
      .then([](wire::Member::Client) {},
            [&said](kj::Exception&& exception) { said = text_of(exception); })
      .wait(served.kj.wait_scope());
  CHECK(said == "another cluster");
  CHECK(stranger.link->reason() == "another cluster");
  stranger.link->hold(true, "");
  stranger.link->hold(false, "");
  CHECK(stranger.link->reason() == "another cluster");
  // Whoever waits for a link that goes is told.
  bool told = false;
  auto waiting = stranger.link->reach().then([](PeerLink::Reached&&) {},
                                             [&told](kj::Exception&&) { told = true; });
  stranger.link.reset();
  waiting.wait(served.kj.wait_scope());
  CHECK(told);
}

Offer offer_of(const char* home, const char* address) {
  Offer offer;
  offer.home_node = home;
  offer.home = *Address::parse(address);
  offer.session = std::string(16, 's');
  offer.secret = std::string(32, 't');
  offer.pid = 7;
  offer.threads = offer.cpus = 1;
  offer.keeper_gate_abi = kKeeperGateAbi;
  return offer;
}

TEST_CASE("a member offers in its own name only, from wherever home is") {
  const Lab lab;
  Served served(lab.node("n1"));
  Dialled n2(served, "n2", lab.node("n2"));
  REQUIRE(served.wait([&] { return n2.up; }));
  const auto ask = [&](const Offer& offer) {
    std::string said;
    n2.link->admit(offer)
        .then([&said](std::optional<Reason> reason) {
          said = reason ? reason->message() : "admitted";
        })
        .wait(served.kj.wait_scope());
    return said;
  };
  CHECK(ask(offer_of("n2", "203.0.113.7:4701")) == "admitted");
  CHECK(ask(offer_of("n2", "[2001:db8::7]:4701")) == "admitted");
  CHECK(ask(offer_of("n3", "127.0.0.1:4701")).find("n3 at n2 is no peer") != std::string::npos);
  CHECK(ask(offer_of("n2", "0.0.0.0:4701")).find("is no peer") != std::string::npos);
  CHECK(served.offers ==
        std::vector<std::string>{"n2 at 203.0.113.7:4701", "n2 at [2001:db8::7]:4701"});
}

TEST_CASE("both ends know why they do not meet") {
  const auto now = std::chrono::system_clock::now();
  const Lab lab("lab", now - 24h * 365), other;
  TlsCredentials mixed = other.credentials("n2");
  mixed.ca_pem = lab.ca.certificate_pem().value();
  struct Case {
    const char* what;
    TlsContext tls;
    const char* expected;
    std::string reason;
    const char* counted;
  };
  for (const Case& c : {
           Case{"other CA", other.node("n2"), "n1", "another cluster", "other_cluster"},
           Case{"other CA, but it believes ours", TlsContext::member(mixed).value(), "n1",
                "it refuses this node: another cluster", "other_cluster"},
           Case{"expired", lab.node("n2", now - kCertificateLife - 1s), "n1",
                "it refuses this node: certificate expired", "expired"},
           Case{"early", lab.node("n2", now + 6min), "n1", "it refuses this node: bad certificate",
                "not_yet_valid"},
           Case{"not the one dialled", lab.node("n2"), "n9", "certificate of another node",
                "bad_certificate"},
       }) {
    CAPTURE(c.what);
    Served served(lab.node("n1"));
    Dialled n2(served, "n2", c.tls, c.expected);
    REQUIRE(served.wait([&] { return !n2.reason.empty(); }));
    CHECK(n2.reason == c.reason);
    CHECK_FALSE(n2.up);
    CHECK(served.wait([&] { return served.refused[c.counted] > 0; }));
    CHECK(served.hellos.empty());
  }
  // The server's certificate.
  Served served(lab.node("n1", now - kCertificateLife - 1s));
  Dialled n2(served, "n2", lab.node("n2"));
  REQUIRE(served.wait([&] { return !n2.reason.empty(); }));
  CHECK(n2.reason == "certificate expired");
  CHECK(served.wait([&] { return served.refused["expired"] > 0; }));
}

TEST_CASE("one in plain text and one with TLS") {
  const Lab lab;
  {
    Served served(lab.node("n1"));
    Dialled n2(served, "n2", std::nullopt);
    REQUIRE(served.wait([&] { return !n2.reason.empty(); }));
    CHECK(served.refused["plain_text"] > 0);
    CHECK(served.hellos.empty());
  }
  Served served(std::nullopt);
  Dialled n2(served, "n2", lab.node("n2"));
  REQUIRE(served.wait([&] { return !n2.reason.empty(); }));
  // What that node says before it hangs up may come too late.
  CHECK((n2.reason == "plain text instead of TLS" || n2.reason == "it has hung up"));
  CHECK(served.wait([&] { return served.refused["protocol"] > 0; }));
  CHECK(served.hellos.empty());
}

TEST_CASE("a renewed certificate is for new connections") {
  const Lab lab;
  Served served(lab.node("n1"));
  Dialled n2(served, "n2", lab.node("n2"));
  REQUIRE(served.wait([&] { return n2.up; }));
  served.tls = lab.node("n1");
  kj::Promise<void> pause = served.kj.after(2500ms);  // over one hello
  pause.wait(served.kj.wait_scope());
  CHECK(n2.up);
  CHECK(served.hellos.size() >= 2);
  // With the membership of another cluster nothing of before holds.
  const Lab other;
  served.tls = other.node("n1");
  served.service->drop_all();
  REQUIRE(served.wait([&] { return !n2.up; }));
  CHECK(served.wait([&] { return n2.reason == "another cluster"; }));
}

TEST_CASE("a link dials anew when its own node is another one") {
  const Lab lab, other;
  Served served(lab.node("n1"));
  Dialled n2(served, "n2", lab.node("n2"));
  REQUIRE(served.wait([&] { return n2.up; }));
  n2.local.tls = [&] { return std::optional(other.node("n2")); };
  n2.link->redial();
  CHECK_FALSE(n2.up);
  CHECK(served.wait([&] { return n2.reason == "another cluster"; }));
  n2.local.tls = [&] { return std::optional(lab.node("n2")); };
  n2.link->redial();
  CHECK(served.wait([&] { return n2.up; }));
}

TEST_CASE("half-open connections are few, and room is made for members") {
  const Lab lab;
  Served served(lab.node("n1"));
  std::vector<UniqueFd> silent;
  for (int i = 0; i < 40; ++i) silent.push_back(served.connect());
  for (size_t i = 0; i < silent.size() - NodeService::kMaxConnections; ++i) {
    CAPTURE(i);
    CHECK(served.closed(silent[i]));
  }
  CHECK(served.refused["too_many"] == 24);
  Dialled n2(served, "n2", lab.node("n2"));
  CHECK(served.wait([&] { return n2.up; }));
  // Bytes that come one by one are no handshake either.
  const UniqueFd slow = served.connect();
  const char hello[] = {0x16, 3, 1, 2, 0, 1, 0, 1, 0x7c, 3, 3};
  for (char byte : hello) {
    ::send(slow.get(), &byte, 1, MSG_NOSIGNAL);
    served.kj.after(200ms).wait(served.kj.wait_scope());
  }
  CHECK(served.closed(slow));
  CHECK(served.refused["silence"] > 0);
  CHECK(n2.up);
}

TEST_CASE("a flood from one address is closed on arrival") {
  const Lab lab;
  Served served(lab.node("n1"));
  for (int i = 0; i < 1000; ++i) {
    const UniqueFd socket = served.connect();
    served.kj.after(0ms).wait(served.kj.wait_scope());
  }
  CHECK(served.refused["too_many"] > 0);
  Dialled n2(served, "n2", lab.node("n2"));
  CHECK(served.wait([&] { return n2.up; }));
}

TEST_CASE("a machine that joins reaches one function only") {
  const Lab lab;
  for (const bool joins : {true, false}) {
    CAPTURE(joins);
    Served served(lab.node("n1"), joins);
    auto stream =
        tls_connect(TlsContext::joiner(lab.ca.hash()).value(),
                    wrap_socket(served.kj, served.connect()), std::nullopt, served.kj.after(kLimit))
            .wait(served.kj.wait_scope());
    auto sent = stream->write("hello", 5);
    char byte = 0;
    // Either way the connection ends, without a word of RPC.
    auto read = stream->tryRead(&byte, 1, 1)
                    .then([](size_t n) { return n; }, [](kj::Exception&&) { return size_t{0}; });
    CHECK(read.wait(served.kj.wait_scope()) == 0);
    CHECK(served.joiners ==
          (joins ? std::vector<std::string>{"127.0.0.1", "hello"} : std::vector<std::string>{}));
    CHECK(served.refused["no_certificate"] == (joins ? 0 : 1));
    CHECK(served.hellos.empty());
  }
}

}  // namespace
}  // namespace om::migrator
