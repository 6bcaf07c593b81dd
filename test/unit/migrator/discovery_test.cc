// SPDX-License-Identifier: Apache-2.0
//
// migrator/gossip: discovery.h with its datagrams, sightings and lookups. The name server is one of the test's on
// loopback; multicast has a test of its own.
#include "migrator/gossip/discovery.h"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <set>
#include <thread>

#include "common/base/unique_fd.h"
#include "migrator/gossip/endpoints.h"

namespace om::members {
namespace {

DiscoveryDatagram datagram_of(uint64_t node, uint8_t cluster = 1) {
  DiscoveryDatagram datagram;
  datagram.kind = DiscoveryKind::kAnnounce;
  datagram.major = 2;
  datagram.port = 4700;
  datagram.cluster.fill(cluster);
  datagram.node = NodeId{node};
  datagram.name = "n" + std::to_string(node);
  datagram.cluster_name = "lab" + std::to_string(cluster);
  return datagram;
}

Address at(const std::string& text) { return *Address::parse(text); }

// Discovery without a network: what it sends and finds, as text.
struct Bench {
  Loop loop;
  FakeClock clock;
  bool alone = true;
  std::set<NodeId> present;
  std::vector<std::string> found, sent, malformed;
  std::unique_ptr<Discovery> discovery;

  explicit Bench(DiscoverySettings settings = {}) {
    settings.self = datagram_of(1);
    settings.multicast = false;
    Discovery::Local local;
    local.alone = [this] { return alone; };
    local.is_present = [this](NodeId id) { return present.contains(id); };
    local.is_ours = [](const Address& address) { return address.text() == "10.0.0.1:4700"; };
    local.on_found = [this](const Address& address) { found.push_back(address.text()); };
    local.send = [this](const Address& to, std::string_view bytes) {
      const auto datagram = decode_discovery(bytes);
      REQUIRE(datagram);
      sent.push_back((datagram->kind == DiscoveryKind::kAsk ? "ask " : "announce ") + to.text());
      return true;
    };
    local.on_malformed = [this](const Address& from) { malformed.push_back(from.text()); };
    discovery = std::make_unique<Discovery>(loop, clock, settings, local);
  }
  void hear(const DiscoveryDatagram& datagram, const std::string& from = "10.0.0.2:5000") {
    discovery->receive(at(from), encode_discovery(datagram));
  }
};

TEST_CASE("a datagram of discovery means the same on the other side") {
  DiscoveryDatagram datagram = datagram_of(7);
  datagram.minor = 3;
  datagram.addresses = {v4_address(10, 0, 0, 1), host_address(at("[2001:db8::1]:1"))};
  const std::string bytes = encode_discovery(datagram);
  CHECK(bytes.size() == kDiscoveryBytes);
  const auto read = decode_discovery(bytes);
  REQUIRE(read);
  CHECK(*read == datagram);
  for (size_t size = 0; size < bytes.size(); size += 17)
    CHECK_FALSE(decode_discovery(bytes.substr(0, size)));
  CHECK_FALSE(decode_discovery(bytes + "x"));
}

TEST_CASE("members of the same cluster are found where they listen") {
  Bench bench;
  bench.hear(datagram_of(2));
  CHECK(bench.found == std::vector<std::string>{"10.0.0.2:4700"});
  bench.hear(datagram_of(2));  // at once again: not dialled twice
  CHECK(bench.found.size() == 1);
  bench.clock.advance(Milliseconds(5000));
  bench.hear(datagram_of(2));
  CHECK(bench.found.size() == 2);
  DiscoveryDatagram says = datagram_of(3);
  says.addresses = {v4_address(10, 0, 0, 33)};
  bench.hear(says);
  CHECK(bench.found.back() == "10.0.0.33:4700");
  bench.present.insert(NodeId{4});
  bench.hear(datagram_of(4), "10.0.0.4:4699");
  bench.hear(datagram_of(1), "10.0.0.4:4699");  // one's own
  bench.hear(datagram_of(5), "10.0.0.1:4699");  // at one's own address
  CHECK(bench.found.size() == 3);
  bench.discovery->receive(at("10.0.0.9:1"), "omd garbage");
  CHECK(bench.malformed == std::vector<std::string>{"10.0.0.9:1"});
}

TEST_CASE("other clusters are remembered, not dialled, and their number is bounded") {
  Bench bench;
  bench.hear(datagram_of(2, 9));
  DiscoveryDatagram newer = datagram_of(3);
  newer.major = 3;
  bench.hear(newer, "10.0.0.3:4699");
  CHECK(bench.found.empty());
  auto others = bench.discovery->others();
  REQUIRE(others.size() == 2);
  CHECK(others[0].cluster_name == "lab1");
  CHECK(others[0].major == 3);
  CHECK(others[0].address.text() == "10.0.0.3:4700");
  CHECK(others[1].name == "n2");
  for (uint64_t i = 0; i < 2 * Sightings::kMost; ++i) {
    bench.clock.advance(Milliseconds(1));
    bench.hear(datagram_of(100 + i, 9));
  }
  CHECK(bench.discovery->others().size() == Sightings::kMost);
  bench.clock.advance(Milliseconds(11 * 60 * 1000));
  CHECK(bench.discovery->others().empty());
}

TEST_CASE("what is found is tried a bounded number of times") {
  Bench bench;
  for (int i = 0; i < 5000; ++i) {
    bench.hear(datagram_of(2),
               "10.2." + std::to_string(i / 250) + "." + std::to_string(i % 250) + ":1");
  }
  CHECK(bench.found.size() == Discovery::kMostTried);
}

TEST_CASE("a question to this node alone is answered, but not without end") {
  Bench bench;
  DiscoveryDatagram ask = datagram_of(2);
  ask.kind = DiscoveryKind::kAsk;
  bench.hear(ask);
  CHECK(bench.sent == std::vector<std::string>{"announce 10.0.0.2:5000"});
  for (int i = 0; i < 100; ++i) bench.hear(ask);
  CHECK(bench.sent.size() == Discovery::kAnswersASecond);
  bench.clock.advance(Milliseconds(1000));
  bench.hear(ask);
  CHECK(bench.sent.size() == Discovery::kAnswersASecond + 1);
  ask.cluster.fill(9);
  bench.hear(ask);
  CHECK(bench.sent.size() == Discovery::kAnswersASecond + 1);
}

TEST_CASE("a sweep asks each address of the subnets once") {
  const std::vector<Subnet> subnets{*Subnet::parse("10.7.0.0/30"), *Subnet::parse("10.8.0.4/31"),
                                    *Subnet::parse("10.9.0.9/32")};
  std::vector<std::string> row;
  for (uint64_t i = 0; const auto address = swept_address(subnets, i, 4700); ++i)
    row.push_back(address->text());
  CHECK(row == std::vector<std::string>{"10.7.0.1:4700", "10.7.0.2:4700", "10.8.0.4:4700",
                                        "10.8.0.5:4700", "10.9.0.9:4700"});
  CHECK_FALSE(swept_address({*Subnet::parse("10.0.0.0/8")}, Discovery::kMostSwept, 1));

  DiscoverySettings settings;
  settings.sweep = {*Subnet::parse("10.0.0.0/29")};
  settings.sweep_per_second = 1000;
  Bench bench(settings);
  bench.discovery->start();
  while (bench.sent.size() < 5) bench.loop.run_once();
  // Not itself.
  CHECK(bench.sent.front() == "ask 10.0.0.2:4700");
  CHECK(bench.sent.back() == "ask 10.0.0.6:4700");
}

// A name server that answers one question with a fixed rest.
struct NameServer {
  UniqueFd socket{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  Address address = at("127.0.0.1:0");
  std::thread thread;

  explicit NameServer(const std::string& answers, uint8_t count) {
    REQUIRE(::bind(socket.get(), address.raw(), address.raw_size()) == 0);
    sockaddr_storage bound{};
    socklen_t size = sizeof bound;
    REQUIRE(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&bound), &size) == 0);
    address = *Address::from_sockaddr(bound);
    thread = std::thread([this, answers, count] {
      char bytes[512];
      sockaddr_storage from{};
      socklen_t length = sizeof from;
      const ssize_t got = ::recvfrom(socket.get(), bytes, sizeof bytes, 0,
                                     reinterpret_cast<sockaddr*>(&from), &length);
      if (got < 12) return;
      bytes[2] = static_cast<char>(0x85);
      bytes[3] = 0;
      bytes[7] = static_cast<char>(count);
      bytes[11] = 0;  // the resolver's additional record is not repeated
      std::string reply(bytes, static_cast<size_t>(got));
      const size_t question = reply.find(std::string("\0\x21\0\1", 4), 12);
      reply = reply.substr(0, question + 4) + answers;
      ::sendto(socket.get(), reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from),
               length);
    });
  }
  ~NameServer() {
    ::shutdown(socket.get(), SHUT_RDWR);
    thread.join();
  }
};

std::string service_record(uint8_t priority, uint16_t port, const std::string& name) {
  std::string data{0, static_cast<char>(priority),  0,
                   0, static_cast<char>(port >> 8), static_cast<char>(port)};
  data += static_cast<char>(name.size());
  data += name + '\0';
  std::string record("\xc0\x0c\0\x21\0\1\0\0\0\x3c\0", 11);
  record += static_cast<char>(data.size());
  return record + data;
}

TEST_CASE("service records of a domain, the most wanted first") {
  NameServer server(service_record(20, 4701, "second") + service_record(10, 4700, "first"), 2);
  const auto targets = look_up_service("lab.example", server.address);
  REQUIRE(targets);
  CHECK(*targets == std::vector<Target>{{"first", 4700, 10}, {"second", 4701, 20}});
}

TEST_CASE("seeds and service records become addresses to dial") {
  NameServer server(service_record(1, 4711, "localhost"), 1);
  DiscoverySettings settings;
  settings.seeds = {"127.0.0.9:4800", "no name", "127.0.0.8", "["};
  settings.service = true;
  settings.domain = "lab.example";
  settings.name_server = server.address;
  Bench bench(settings);
  bench.discovery->start();
  while (bench.found.empty()) bench.loop.run_once();
  REQUIRE(bench.found.size() >= 3);
  CHECK(bench.found[0] == "127.0.0.9:4800");
  CHECK(bench.found[1] == "127.0.0.8:4700");
  CHECK(bench.found[2].ends_with(":4711"));
}

}  // namespace
}  // namespace om::members
