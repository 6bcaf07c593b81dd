// SPDX-License-Identifier: Apache-2.0
//
// migrator/gossip/member_service.h: several nodes in one process with real sockets and timers on loopback. What goes
// over TLS in the product is a call after a moment here. Each node says that it listens at a socket of the test's, a
// relay, which passes datagrams on as if it were the network: so nodes can be cut off from each other. Times are a
// tenth of the product's, and nothing fails because the machine is slow.
#include "migrator/gossip/member_service.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>

#include "migrator/gossip/endpoints.h"

namespace om::members {
namespace {

constexpr size_t kNobody = SIZE_MAX;

GroupKey group_key(uint32_t number) {
  return {number, std::string(migrator::kGroupKeyBytes, static_cast<char>(number))};
}

const char* name_of(ChangeKind kind) {
  static const char* const kNames[] = {"joined", "left", "suspected", "down", "up", "denied"};
  return kNames[static_cast<int>(kind)];
}

class Lab {
 public:
  struct Node {
    std::unique_ptr<GossipSocket> relay;
    Address advertised = *Address::parse("127.0.0.1:0");
    Address actual = *Address::parse("127.0.0.1:0");
    std::unique_ptr<MemberService> service;  // nullptr: killed
    int group = 0;                           // nodes of different groups do not reach each other
    uint64_t incarnation = 0;
    std::vector<std::string> changes;
    unsigned wants_key = 0;
  };

  Loop loop;
  SystemClock clock;
  std::vector<Node> nodes;
  uint64_t dials = 0;

  explicit Lab(size_t count) : nodes(count) {
    for (size_t i = 0; i < count; ++i) {
      auto relay = GossipSocket::open(loop, nodes[i].advertised);
      REQUIRE(relay);
      nodes[i].relay = std::move(*relay);
      nodes[i].relay->start([this, i](const Address& from, std::string_view bytes) {
        for (size_t j = 0; j < nodes.size(); ++j) {
          if (nodes[j].service == nullptr || nodes[j].actual.text() != from.text()) continue;
          if (nodes[i].service != nullptr && nodes[i].group == nodes[j].group)
            nodes[j].relay->send(nodes[i].actual, bytes);
          return;
        }
      });
    }
  }

  static NodeId id(size_t node) { return NodeId{0x1000 + node}; }

  // Starts a node that knows where `seed` is.
  void start(size_t number, size_t seed, const std::vector<uint32_t>& keys = {1}) {
    Node& node = nodes[number];
    MemberService::Settings settings;
    settings.self.id = id(number);
    settings.self.name = "n" + std::to_string(number);
    settings.self.number = static_cast<uint32_t>(number + 1);
    settings.self.addresses = {host_address(node.advertised)};
    settings.self.port = node.advertised.port();
    settings.self.major = 2;
    node.incarnation = std::max<uint64_t>(node.incarnation + 1, 1000);
    settings.start = {node.incarnation, (node.incarnation - 999) * kCountersPerLife};
    for (const uint32_t key : keys) settings.keys.push_back(group_key(key));
    Timing& timing = settings.membership.timing;
    for (Milliseconds* time :
         {&timing.period, &timing.ask_after, &timing.suspect_after, &timing.suspicion,
          &timing.others_wait, &timing.dial_again, &timing.gossip})
      *time /= 10;
    settings.membership.verify_deny = [](NodeId, std::string_view entry) {
      return entry == "signed";
    };
    settings.discovery.multicast = false;
    settings.discovery.self.cluster_name = "lab";
    if (seed != kNobody) settings.discovery.seeds = {nodes[seed].advertised.text()};
    node.actual = *Address::parse("127.0.0.1:0");
    auto socket = GossipSocket::open(loop, node.actual);
    REQUIRE(socket);
    MemberService::Events events;
    events.on_change = [&node](ChangeKind kind, const MemberView& about) {
      if (kind == ChangeKind::kRestated) return;
      node.changes.push_back(std::string(name_of(kind)) + " " + about.name);
    };
    events.on_unknown_key = [&node] { ++node.wants_key; };
    auto service = MemberService::create(loop, clock, std::move(settings), std::move(*socket),
                                         links_of(number), std::move(events));
    REQUIRE(service);
    node.service = std::move(*service);
    node.service->start();
  }

  void kill(size_t node) { nodes[node].service.reset(); }

  template <class Done>
  bool until(Done done, Milliseconds limit = Milliseconds(120000)) {
    const MonotonicTime end = clock.now() + limit;
    Timer tick(loop);
    tick.start_repeating(Milliseconds(20), [] {});
    while (!done()) {
      if (clock.now() > end) return false;
      loop.run_once();
    }
    return true;
  }
  void run_for(Milliseconds time) {
    static_cast<void>(until([] { return false; }, time));
  }

  // Whether all living nodes of `group` believe this state of the node.
  bool all_say(size_t about, State state, int group = 0) {
    return std::all_of(nodes.begin(), nodes.end(), [&](Node& node) {
      if (node.service == nullptr || &node == &nodes[about] || node.group != group) return true;
      const auto view = node.service->find(id(about));
      return view && view->state == state;
    });
  }
  bool all_alive() {
    for (size_t i = 0; i < nodes.size(); ++i) {
      if (nodes[i].service != nullptr && !all_say(i, State::kAlive)) return false;
    }
    return true;
  }

 private:
  // After a moment, as over a network; `silent` after the second that a silent node is given.
  void later(bool silent, std::function<void()> run) {
    auto timer = std::make_shared<Timer>(loop);
    timers_.push_back(timer);
    timer->start(Milliseconds(silent ? 100 : 3), std::move(run));
  }
  bool reaches(size_t from, size_t to) {
    return nodes[to].service != nullptr && nodes[from].group == nodes[to].group;
  }

  Links links_of(size_t number) {
    Links links;
    links.accuse = [this, number](const MemberView& node, uint64_t incarnation,
                                  std::function<void(std::optional<uint64_t>)> done) {
      ++dials;
      const auto to = static_cast<size_t>(static_cast<uint64_t>(node.id) - 0x1000);
      REQUIRE(to < nodes.size());
      later(!reaches(number, to), [this, number, to, incarnation, done] {
        done(reaches(number, to) ? std::optional(nodes[to].service->accused(incarnation))
                                 : std::nullopt);
      });
    };
    links.fetch = [this, number](const Address& address, std::optional<NodeId>,
                                 std::function<void(Result<Fetched>)> done) {
      size_t to = 0;
      while (to < nodes.size() && nodes[to].advertised.text() != address.text()) ++to;
      REQUIRE(to < nodes.size());
      later(false, [this, number, to, done] {
        if (!reaches(number, to)) return done(plain_error("nobody there"));
        Fetched fetched{id(to), {}};
        std::string after;
        do {
          const SnapshotPage page = nodes[to].service->page(after);
          auto rumours = decode_rumours(page.rumours, kMostPageBytes);
          REQUIRE(rumours);
          fetched.rumours.insert(fetched.rumours.end(), rumours->begin(), rumours->end());
          after = page.next;
        } while (!after.empty());
        done(std::move(fetched));
      });
    };
    return links;
  }

  std::vector<std::shared_ptr<Timer>> timers_;
};

size_t count(const std::vector<std::string>& all, const std::string& what) {
  return static_cast<size_t>(std::count(all.begin(), all.end(), what));
}

void start_all(Lab& lab) {
  lab.start(0, kNobody);
  for (size_t i = 1; i < lab.nodes.size(); ++i) lab.start(i, 0);
  REQUIRE(lab.until([&] { return lab.all_alive(); }));
}

TEST_CASE("nodes that know one seed learn of all; a killed one is down for all, and comes back") {
  Lab lab(6);
  start_all(lab);
  const auto view = lab.nodes[5].service->find("n3");
  REQUIRE(view);
  CHECK(view->number == 4);
  CHECK(view->port == lab.nodes[3].advertised.port());
  CHECK(lab.nodes[5].service->members().size() == 5);

  lab.kill(3);
  REQUIRE(lab.until([&] { return lab.all_say(3, State::kDown); }));
  for (const size_t node : {0u, 1u, 2u, 4u, 5u})
    CHECK(count(lab.nodes[node].changes, "down n3") == 1);
  CHECK(lab.dials >= 1);

  lab.start(3, 0);
  REQUIRE(lab.until([&] { return lab.all_alive(); }));
  for (const size_t node : {0u, 1u, 2u, 4u, 5u}) {
    CHECK(count(lab.nodes[node].changes, "up n3") >= 1);
    CHECK(count(lab.nodes[node].changes, "joined n3") == 1);
    CHECK(lab.nodes[node].service->refusals().count(Refusal::kBadTag) == 0);
  }
}

TEST_CASE("the halves of a divided cluster find each other again") {
  Lab lab(6);
  start_all(lab);
  for (const size_t node : {3, 4, 5}) lab.nodes[node].group = 1;
  REQUIRE(lab.until(
      [&] { return lab.all_say(4, State::kDown, 0) && lab.all_say(1, State::kDown, 1); }));
  CHECK(lab.all_say(1, State::kAlive, 0));
  for (const size_t node : {3, 4, 5}) lab.nodes[node].group = 0;
  REQUIRE(lab.until([&] { return lab.all_alive(); }));
}

TEST_CASE("a node that leaves has left, and one that is denied is gone for all") {
  Lab lab(5);
  start_all(lab);
  lab.nodes[4].service->leave();
  REQUIRE(lab.until([&] { return lab.all_say(4, State::kLeft); }));
  lab.kill(4);
  CHECK_FALSE(lab.nodes[0].service->deny(Lab::id(3), "forged"));
  CHECK(lab.nodes[0].service->deny(Lab::id(3), "signed"));
  REQUIRE(lab.until([&] {
    return lab.nodes[1].service->denied(Lab::id(3)) && lab.nodes[2].service->denied(Lab::id(3));
  }));
  CHECK_FALSE(lab.nodes[2].service->find(Lab::id(3)));
  // It goes on talking, and is not listened to.
  REQUIRE(lab.until([&] { return lab.nodes[1].service->refusals().count(Refusal::kDenied) > 0; }));
  for (const size_t node : {1, 2}) CHECK(lab.nodes[node].service->find(Lab::id(0)));
}

TEST_CASE("the group key is replaced without anybody noticing") {
  Lab lab(3);
  start_all(lab);
  for (Lab::Node& node : lab.nodes) REQUIRE(node.service->add_key(group_key(2)));
  lab.kill(2);
  REQUIRE(lab.until([&] { return lab.all_say(2, State::kDown); }));
  // A node that joins meanwhile gets both.
  CHECK(lab.nodes[0].service->keys().size() == 2);
  lab.start(2, 0, {1, 2});
  REQUIRE(lab.until([&] { return lab.all_alive(); }));
  for (Lab::Node& node : lab.nodes)
    CHECK(node.service->refusals().count(Refusal::kUnknownKey) == 0);
  // One that has a still newer one is asked about.
  lab.kill(2);
  REQUIRE(lab.until([&] { return lab.all_say(2, State::kDown); }));
  lab.start(2, 0, {3});
  REQUIRE(lab.until([&] { return lab.nodes[0].wants_key > 0 || lab.nodes[1].wants_key > 0; }));
}

TEST_CASE("a flood of garbage is counted, kept nowhere, and the members stay alive") {
  Lab lab(3);
  start_all(lab);
  for (Lab::Node& node : lab.nodes) node.changes.clear();
  Address from = *Address::parse("127.0.0.1:0");
  auto flooder = GossipSocket::open(lab.loop, from);
  REQUIRE(flooder);
  const MemberService& target = *lab.nodes[1].service;
  const Footprint before = target.footprint();
  std::string forged("omg\x01\x01\0\0\0", 8);
  forged += std::string(1000, 'x');
  std::string ask = "omd" + std::string(300, 'x');
  for (uint32_t round = 0; round < 300; ++round) {
    for (uint32_t i = 0; i < 100; ++i) {
      forged[8] = static_cast<char>(i);
      forged[9] = static_cast<char>(round);
      (*flooder)->send(lab.nodes[1].actual, i % 3 == 0 ? ask : i % 3 == 1 ? forged : "noise");
    }
    lab.loop.run_once();
  }
  lab.run_for(Milliseconds(500));
  const Refusals& refusals = target.refusals();
  CHECK(refusals.count(Refusal::kMalformed) > 1000);
  CHECK(refusals.count(Refusal::kUnknownSender) > 500);
  CHECK(refusals.sources() == 1);
  CHECK(target.senders() <= 2);
  CHECK(target.footprint().members == before.members);
  REQUIRE(lab.until([&] { return lab.all_alive(); }));
  for (Lab::Node& node : lab.nodes) {
    for (const std::string& change : node.changes) CHECK_FALSE(change.starts_with("down"));
  }
}

TEST_CASE("a snapshot in pieces has everything once") {
  std::vector<Rumour> all{{kDenied, NodeId{5}, 0, {}, "signed"}};
  NodeRecord record;
  record.name = "n";
  record.addresses = {v4_address(10, 0, 0, 1)};
  record.port = 1;
  for (uint64_t i = 0; i < 3000; ++i) {
    record.id = NodeId{i == 0 ? 9999 : i};  // the own record is out of order
    all.push_back(joined(record, 1));
    if (i % 3 == 0) all.push_back({kDown, record.id, 1});
  }
  size_t pieces = 0, rumours = 0, joins = 0;
  std::string after;
  NodeId last{0};
  do {
    const SnapshotPage page = page_of(all, after);
    REQUIRE(page.rumours.size() <= kMostPageBytes);
    REQUIRE(page.next.size() <= kMostCursorBytes);
    const auto decoded = decode_rumours(page.rumours, kMostPageBytes);
    REQUIRE(decoded);
    for (const Rumour& rumour : *decoded) {
      ++rumours;
      if (rumour.kind != kJoined) continue;
      CHECK(rumour.node > last);
      last = rumour.node;
      ++joins;
    }
    ++pieces;
    after = page.next;
  } while (!after.empty());
  CHECK(pieces >= 2);
  CHECK(rumours == all.size());
  CHECK(joins == 3000);
  CHECK_FALSE(decode_rumours(std::string(kMostPageBytes + 1, '\0'), kMostPageBytes));
}

}  // namespace
}  // namespace om::members
