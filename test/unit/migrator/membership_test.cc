// SPDX-License-Identifier: Apache-2.0
//
// migrator/members/membership.h: single machines that are told things, and a model of up to 64 nodes in bad weather
// (bench/member_network.h). In the model each view that follows from the changes must be the machine's own.
// All in one file, because nearly every case uses one of the two.
#include "migrator/members/membership.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "bench/member_network.h"

namespace om::members {
namespace {

constexpr Milliseconds kSecond{1000};

NodeRecord record_of(uint64_t id) {
  NodeRecord record;
  record.id = NodeId{id};
  record.name = "n" + std::to_string(id);
  record.addresses = {v4_address(10, 0, 0, static_cast<uint8_t>(id))};
  record.port = 4700;
  return record;
}

bool signed_entry(NodeId, std::string_view entry) { return entry == "signed"; }

Settings settings() {
  Settings settings;
  settings.verify_deny = signed_entry;
  return settings;
}

// Node 1, and what others tell it.
struct One {
  RecordPool pool;
  MonotonicTime now{std::chrono::hours(1)};
  uint64_t seed = 7;
  Membership machine{settings(),
                     pool,
                     [this] { return seed = seed * 6364136223846793005 + 1442695040888963407; },
                     record_of(1),
                     100,
                     now};

  Result<void> tell(uint64_t from, std::vector<Rumour> rumours, uint64_t incarnation = 1) {
    std::string bytes = encode_header({DatagramKind::kGossip, 0, incarnation, NodeId{from}});
    for (const Rumour& rumour : rumours) append_rumour(bytes, rumour);
    return machine.receive(now, NodeId{from}, bytes);
  }
  // The changes since the last call, as text.
  std::string changes(const Output& output) {
    std::string text;
    static const char* const kNames[] = {"joined", "left",     "suspected", "down",     "up",
                                         "denied", "restated", "tcp_only",  "datagrams"};
    for (const Change& change : output.changes) {
      text += (text.empty() ? "" : " ") + std::string(kNames[static_cast<int>(change.kind)]) + " " +
              std::to_string(static_cast<uint64_t>(change.node));
    }
    return text;
  }
  std::string changes() { return changes(machine.take_output()); }
  Output run_for(Milliseconds time) {
    const MonotonicTime end = now + time;
    while (machine.next_wake() <= end) {
      now = std::max(now, machine.next_wake());
      machine.tick(now);
    }
    now = end;
    return machine.take_output();
  }
};

// All rumours of a kind about a node that the output carries.
std::vector<Rumour> said(const Output& output, uint8_t kind, uint64_t node) {
  std::vector<Rumour> found;
  for (const Send& send : output.sends) {
    auto datagram = decode_datagram(send.bytes);
    REQUIRE(datagram);
    for (Rumour& rumour : datagram->rumours) {
      if (rumour.kind == kind && rumour.node == NodeId{node}) found.push_back(std::move(rumour));
    }
  }
  return found;
}

TEST_CASE("each change is reported once") {
  One one;
  const Rumour two = joined(record_of(2), 1);
  REQUIRE(one.tell(2, {two, two}));
  REQUIRE(one.tell(2, {two}));
  CHECK(one.changes() == "joined 2");
  REQUIRE(one.tell(
      2, {{kSuspected, NodeId{2}, 1}, {kSuspected, NodeId{2}, 1}, {kAlive, NodeId{2}, 2}}));
  CHECK(one.changes() == "suspected 2 up 2");
  REQUIRE(one.tell(2, {{kDown, NodeId{2}, 1}, {kAlive, NodeId{2}, 3}}));
  CHECK(one.changes() == "");
  REQUIRE(one.tell(3, {{kDown, NodeId{2}, 3}, {kSuspected, NodeId{2}, 3}, {kAlive, NodeId{2}, 3}}));
  CHECK(one.changes() == "down 2");
  REQUIRE(one.tell(2, {{kAlive, NodeId{2}, 4}, {kLeft, NodeId{2}, 4}, {kDown, NodeId{2}, 4}}));
  CHECK(one.changes() == "up 2 left 2");
  REQUIRE(one.tell(2, {joined(record_of(2), 5)}));
  CHECK(one.changes() == "joined 2");
}

TEST_CASE("a member that does not answer is suspected, dialled, and only then down") {
  One one;
  REQUIRE(one.tell(2, {joined(record_of(2), 1)}));
  one.machine.take_output();
  // It has a moment to object before it is dialled, and the time that the dial takes.
  const Timing timing;
  Output output;
  for (int i = 0; i < 40 && output.changes.empty(); ++i) output = one.run_for(kSecond / 20);
  CHECK(one.changes(output) == "suspected 2");
  CHECK(output.dials.empty());
  output = one.run_for(timing.suspicion);
  REQUIRE(output.dials.size() == 1);
  CHECK(output.dials[0].node == NodeId{2});
  CHECK(output.dials[0].incarnation == 1);
  SUBCASE("which fails") {
    one.machine.dialled(one.now, NodeId{2}, {});
    CHECK(one.changes() == "down 2");
    one.machine.dialled(one.now, NodeId{2}, 5);
    CHECK(one.changes() == "");
    output = one.run_for(kSecond * 30);
    CHECK(output.changes.empty());
    CHECK(output.dials.empty());
    CHECK(said(output, kDown, 2).size() >= 2);
  }
  SUBCASE("which it answers with a higher incarnation") {
    one.machine.dialled(one.now, NodeId{2}, 2);
    CHECK(one.changes() == "up 2");
    CHECK(one.machine.find(NodeId{2})->incarnation == 2);
  }
  SUBCASE("which it answers without having heard") {
    one.machine.dialled(one.now, NodeId{2}, 1);
    CHECK(one.changes() == "up 2");
  }
  SUBCASE("whose outcome never comes") {
    output = one.run_for(kSecond * 5);
    CHECK(output.changes.empty());
    CHECK(output.dials.size() >= 1);
  }
}

TEST_CASE("who has only heard of a suspicion waits four times as long") {
  One one;
  REQUIRE(one.tell(2, {joined(record_of(2), 1), joined(record_of(3), 1)}));
  Timing timing;
  REQUIRE(one.tell(2, {{kSuspected, NodeId{3}, 1}}));
  one.machine.take_output();
  const auto to_three = [](const Dial& dial) { return dial.node == NodeId{3}; };
  Output output = one.run_for(timing.others_wait - Milliseconds(1));
  CHECK(std::none_of(output.dials.begin(), output.dials.end(), to_three));
  output = one.run_for(timing.others_wait + Milliseconds(1));
  CHECK(std::any_of(output.dials.begin(), output.dials.end(), to_three));
}

TEST_CASE("a node objects to what is wrong about it") {
  One one;
  REQUIRE(one.tell(2, {joined(record_of(2), 1)}));
  one.run_for(kSecond * 10);
  for (const uint8_t kind : {kSuspected, kDown, kLeft}) {
    const uint64_t before = one.machine.incarnation();
    REQUIRE(one.tell(2, {{kind, NodeId{1}, before}}));
    CHECK(one.machine.incarnation() == before + 1);
    REQUIRE(one.tell(2, {{kind, NodeId{1}, before}}));
    CHECK(one.machine.incarnation() == before + 1);
    const Output output = one.run_for(kSecond * 3);
    CHECK(output.syncs.size() == (kind == kDown ? 1 : 0));
    REQUIRE_FALSE(said(output, kAlive, 1).empty());
    CHECK(said(output, kAlive, 1)[0].incarnation == before + 1);
  }
  CHECK(one.machine.accused(one.machine.incarnation() + 5) == 109);
  // Nobody can use up the incarnations.
  REQUIRE(
      one.tell(2, {{kDown, NodeId{1}, kMaxIncarnation}, {kAlive, NodeId{1}, kMaxIncarnation - 1}}));
  CHECK(one.machine.incarnation() == 109);
  REQUIRE(one.tell(3, {{kDown, NodeId{2}, kMaxIncarnation}}));
  CHECK(one.machine.find(NodeId{2})->incarnation == 1);
}

TEST_CASE("after a restart the new record counts") {
  One one;
  REQUIRE(one.tell(2, {joined(record_of(2), 1)}));
  NodeRecord moved = record_of(2);
  moved.port = 4800;
  moved.stated = 5;
  // The new incarnation is heard of before the new record.
  REQUIRE(one.tell(2, {{kAlive, NodeId{2}, 5}}));
  REQUIRE(one.tell(2, {joined(moved, 5)}));
  CHECK(one.machine.find(NodeId{2})->record->port == 4800);
  REQUIRE(one.tell(3, {joined(record_of(2), 5)}));
  CHECK(one.machine.find(NodeId{2})->record->port == 4800);
  CHECK(one.changes() == "joined 2 restated 2");
  CHECK(one.pool.size() == 1);
  // This node itself, heard of from the time before its restart.
  REQUIRE(one.tell(2, {joined(record_of(1), 200)}));
  CHECK(one.machine.incarnation() == 201);
  CHECK(one.machine.self().stated == 201);
}

TEST_CASE("denied is final, and signed") {
  One one;
  REQUIRE(one.tell(2, {joined(record_of(2), 1), joined(record_of(3), 1)}));
  CHECK(one.changes() == "joined 2 joined 3");
  REQUIRE(one.tell(2, {{kDenied, NodeId{3}, 0, {}, "forged"}}));
  CHECK_FALSE(one.machine.denied(NodeId{3}));
  REQUIRE(
      one.tell(2, {{kDenied, NodeId{3}, 0, {}, "signed"}, {kDenied, NodeId{3}, 0, {}, "signed"}}));
  CHECK(one.changes() == "denied 3");
  REQUIRE(one.tell(2, {joined(record_of(3), 9), {kAlive, NodeId{3}, 10}}));
  CHECK_FALSE(one.tell(3, {joined(record_of(4), 1)}));
  CHECK(one.machine.find(NodeId{3}) == nullptr);
  CHECK(one.machine.find(NodeId{4}) == nullptr);
  CHECK(one.changes() == "");
  CHECK_FALSE(said(one.run_for(kSecond * 3), kDenied, 3).empty());
  CHECK(one.machine.snapshot()[0].kind == kDenied);
  // This node itself: it falls silent about others.
  REQUIRE(one.tell(2, {{kDenied, NodeId{1}, 0, {}, "signed"}}));
  CHECK(one.changes() == "denied 1");
  CHECK(one.machine.accused(100) == 100);
  CHECK(one.run_for(kSecond * 30).changes.empty());
}

TEST_CASE("kinds of rumours that are not known are passed on, once") {
  One one;
  REQUIRE(one.tell(2, {joined(record_of(2), 1)}));
  const Rumour news{77, NodeId{9}, 3, {}, "of a later version"};
  REQUIRE(one.tell(2, {news}));
  const std::vector<Rumour> passed = said(one.run_for(kSecond * 10), 77, 9);
  REQUIRE(passed.size() == rumour_budget(2));
  CHECK(passed[0].body == news.body);
  CHECK(passed[0].incarnation == 3);
  REQUIRE(one.tell(2, {news}));
  CHECK(said(one.run_for(kSecond * 10), 77, 9).empty());
}

TEST_CASE("a stranger is asked who it is") {
  One one;
  const std::string ping = encode_header({DatagramKind::kPing, 5, 1, NodeId{1}});
  REQUIRE(one.machine.receive(one.now, NodeId{2}, ping));
  CHECK(said(one.machine.take_output(), kAsked, 2).size() == 1);
  CHECK(one.machine.members().empty());
  REQUIRE(one.tell(2, {joined(record_of(2), 1)}));
  one.run_for(kSecond * 30);
  REQUIRE(one.tell(2, {{kAsked, NodeId{1}}}));
  CHECK_FALSE(said(one.run_for(kSecond * 3), kJoined, 1).empty());
}

TEST_CASE("a liar costs no memory without end") {
  One one;
  Settings small = settings();
  small.most_members = 50;
  one.machine.~Membership();
  new (&one.machine) Membership(
      small, one.pool, [&] { return ++one.seed; }, record_of(1), 100, one.now);
  REQUIRE(one.tell(2, {joined(record_of(2), 1)}));
  for (uint64_t i = 0; i < 5000; ++i) {
    const NodeId made_up{1000 + i};
    std::vector<Rumour> lies{
        joined(record_of(1000 + i), i), {kDown, made_up, i}, {kAlive, NodeId{i}, i}};
    lies.push_back(
        {static_cast<uint8_t>(100 + i % 100), made_up, i, {}, std::string(i % 300, 'x')});
    lies.push_back({kDenied, made_up, i, {}, i % 3 ? "forged" : "signed"});
    REQUIRE(one.tell(2, lies));
    std::string ask =
        encode_header({DatagramKind::kPingRequest, static_cast<uint32_t>(i), 1, NodeId{2}});
    REQUIRE(one.machine.receive(one.now, NodeId{3}, ask));
    one.machine.take_output();
  }
  const Footprint kept = one.machine.footprint();
  CHECK(kept.members <= 50);
  CHECK(kept.suspicions <= 50);
  CHECK(kept.tcp_only <= 50);
  CHECK(kept.rumours <= kMaxRumours + kMaxUnknownRumours);
  CHECK(kept.relays <= kMaxRelays);
  CHECK(kept.denied <= kMaxDenied);
  CHECK(one.pool.size() <= 50);
  for (const Send& send : one.run_for(kSecond * 5).sends)
    CHECK(send.bytes.size() <= kMaxDatagramBytes);
}

TEST_CASE("what is not a datagram changes nothing") {
  One one;
  REQUIRE(one.tell(2, {joined(record_of(2), 1)}));
  std::string whole = encode_header({DatagramKind::kPing, 1, 7, NodeId{1}});
  append_rumour(whole, joined(record_of(3), 4));
  one.machine.take_output();
  for (size_t size = 0; size < whole.size(); ++size) {
    const bool fine = size == kDatagramHeaderBytes;
    if (!fine) CHECK_FALSE(one.machine.receive(one.now, NodeId{2}, whole.substr(0, size)));
  }
  CHECK_FALSE(
      one.machine.receive(one.now, NodeId{2}, whole + std::string(kMaxDatagramBytes, '\0')));
  CHECK_FALSE(one.machine.receive(one.now, NodeId{1}, whole));
  const Output output = one.machine.take_output();
  CHECK(output.sends.empty());
  CHECK(output.changes.empty());
  CHECK(one.machine.find(NodeId{2})->incarnation == 1);
}

TEST_CASE("a node that has stood still blames nobody") {
  One one;
  REQUIRE(one.tell(2, {joined(record_of(2), 1)}));
  one.run_for(Milliseconds(1100));
  one.now += kSecond * 60;
  one.machine.tick(one.now);
  CHECK(one.machine.take_output().changes.empty());
}

// Follows what each node reports and compares it with what it believes.
struct Model {
  explicit Model(size_t nodes, Weather weather, uint64_t seed) : net(weather, seed) {
    net.on_change = [this](size_t observer, size_t node, ChangeKind kind) {
      change(observer, node, kind);
    };
    for (size_t i = 0; i < nodes; ++i) net.add();
    net.introduce_all();
  }
  void change(size_t observer, size_t node, ChangeKind kind) {
    std::set<size_t>& up = seen_up[observer];
    ++count[kind];
    if (kind == ChangeKind::kJoined || kind == ChangeKind::kUp) {
      const bool first = up.insert(node).second;
      // A suspect is still a member.
      CHECK((first || kind == ChangeKind::kUp));
    } else if (kind == ChangeKind::kSuspected) {
      up.insert(node);
    } else if (kind != ChangeKind::kRestated && kind != ChangeKind::kTcpOnly &&
               kind != ChangeKind::kDatagrams) {
      CHECK(up.erase(node) == 1);
    }
  }
  // Every living node sees exactly the living nodes.
  bool all_agree() {
    for (size_t i = 0; i < net.size(); ++i) {
      if (!net.up(i)) continue;
      for (size_t j = 0; j < net.size(); ++j) {
        if (j == i) continue;
        const Member* member = net.member(i).find(net.id(j));
        if ((member != nullptr && member->state() == State::kAlive) != net.up(j)) return false;
      }
    }
    return true;
  }
  bool everybody_sees(size_t node, State state) {
    for (size_t i = 0; i < net.size(); ++i) {
      if (i == node || !net.up(i)) continue;
      const Member* member = net.member(i).find(net.id(node));
      if (member == nullptr || member->state() != state) return false;
    }
    return true;
  }
  // The view that follows from the changes is the machine's.
  void check_views() {
    for (size_t i = 0; i < net.size(); ++i) {
      size_t present = 0;
      for (const Member& member : net.member(i).members()) present += member.present();
      CHECK(seen_up[i].size() == present);
    }
  }

  MemberNetwork net;
  std::map<size_t, std::set<size_t>> seen_up;
  std::map<ChangeKind, size_t> count;
};

Weather bad_weather() { return {.loss = 0.05, .twice = 0.05, .most_delay = Milliseconds(80)}; }

TEST_CASE("all know within seconds that a node is dead") {
  for (const size_t nodes : {2, 3, 5, 16, 64}) {
    CAPTURE(nodes);
    Model model(nodes, {}, nodes);
    model.net.run_for(kSecond * 10);
    CHECK(model.all_agree());
    model.net.kill(1);
    CHECK(model.net.run_until([&] { return model.everybody_sees(1, State::kDown); },
                              Milliseconds(8000)));
    CHECK(model.count[ChangeKind::kDown] == nodes - 1);
    model.check_views();
    model.seen_up[1].clear();
    model.net.restart(1, 1);
    model.net.introduce(1, 0);
    CHECK(model.net.run_until([&] { return model.all_agree(); }, kSecond * 20));
    model.check_views();
  }
}

TEST_CASE("nobody is wrongly down in bad weather") {
  Model model(64, bad_weather(), 1);
  model.net.run_for(kSecond * 300);
  CHECK(model.count[ChangeKind::kDown] == 0);
  CHECK(model.count[ChangeKind::kTcpOnly] == 0);
  CHECK(model.count[ChangeKind::kSuspected] > 0);
  model.net.weather.loss = 0;
  CHECK(model.net.run_until([&] { return model.all_agree(); }, kSecond * 20));
  model.check_views();
}

TEST_CASE("where only dials get through suspicions end, and who dies is down all the same") {
  constexpr size_t kNodes = 8;
  Model model(kNodes, {}, 5);
  model.net.run_for(kSecond * 10);
  model.net.weather.loss = 1;
  const auto all_know = [&] { return model.count[ChangeKind::kTcpOnly] == kNodes * (kNodes - 1); };
  CHECK(model.net.run_until(all_know, kSecond * 120));
  // Who knows each other in that way suspects nobody, however long it lasts.
  CHECK(model.net.run_until([&] { return model.all_agree(); }, kSecond * 10));
  const size_t suspected = model.count[ChangeKind::kSuspected];
  CHECK(suspected == TcpOnly::kStrikes * kNodes * (kNodes - 1));
  const uint64_t dials = model.net.dials;
  model.net.run_for(kSecond * 3600);
  CHECK(model.count[ChangeKind::kSuspected] == suspected);
  CHECK(model.count[ChangeKind::kTcpOnly] == kNodes * (kNodes - 1));
  CHECK(model.count[ChangeKind::kDown] == 0);
  // Once a minute and pair at most, in the long run.
  CHECK(model.net.dials - dials < kNodes * (kNodes - 1) * 66);
  model.net.kill(1);
  CHECK(model.net.run_until([&] { return model.everybody_sees(1, State::kDown); }, kSecond * 90));
  CHECK(model.count[ChangeKind::kDown] == kNodes - 1);
  model.net.weather.loss = 0;
  CHECK(model.net.run_until(
      [&] { return model.count[ChangeKind::kDatagrams] == (kNodes - 1) * (kNodes - 2); },
      kSecond * 60));
  CHECK(model.all_agree());
  model.check_views();
}

TEST_CASE("a divided cluster becomes one again") {
  for (const size_t nodes : {2, 7, 32}) {
    CAPTURE(nodes);
    Model model(nodes, bad_weather(), nodes);
    model.net.run_for(kSecond * 10);
    for (size_t i = 0; i < nodes / 2; ++i) model.net.place(i, 1);
    const auto divided = [&] {
      const Member* other = model.net.member(0).find(model.net.id(nodes - 1));
      return other->state() == State::kDown && !model.all_agree();
    };
    CHECK(model.net.run_until(divided, kSecond * 300));
    model.net.run_for(kSecond * 120);
    for (size_t i = 0; i < nodes; ++i) model.net.place(i, 0);
    CHECK(model.net.run_until([&] { return model.all_agree(); }, kSecond * 120));
    model.check_views();
  }
}

TEST_CASE("a frozen node is down, and up when it goes on") {
  Model model(16, {}, 3);
  model.net.run_for(kSecond * 10);
  model.net.freeze(4, true);
  CHECK(model.net.run_until([&] { return model.everybody_sees(4, State::kDown); }, kSecond * 10));
  model.net.freeze(4, false);
  CHECK(model.net.run_until([&] { return model.all_agree(); }, kSecond * 20));
  CHECK(model.count[ChangeKind::kDown] == 15);
  CHECK(model.count[ChangeKind::kUp] == 15);
}

TEST_CASE("leaving is not being down") {
  Model model(32, bad_weather(), 5);
  model.net.run_for(kSecond * 10);
  model.net.leave(7);
  model.net.run_for(kSecond);
  model.net.kill(7);
  CHECK(model.net.run_until([&] { return model.everybody_sees(7, State::kLeft); }, kSecond * 10));
  model.net.run_for(kSecond * 60);
  CHECK(model.everybody_sees(7, State::kLeft));
  CHECK(model.count[ChangeKind::kDown] == 0);
  CHECK(model.count[ChangeKind::kLeft] == 31);
  // It comes back with the incarnation that it had.
  model.seen_up[7].clear();
  model.net.restart(7, 1);
  model.net.introduce(7, 0);
  CHECK(model.net.run_until([&] { return model.everybody_sees(7, State::kAlive); }, kSecond * 30));
}

TEST_CASE("all hear what a node says anew of itself") {
  Model model(16, bad_weather(), 7);
  model.net.run_for(kSecond * 5);
  model.net.member(3).restate(1);
  model.net.settle(3);
  const auto heard = [&] {
    for (size_t i = 0; i < 16; ++i) {
      if (i != 3 && model.net.member(i).find(model.net.id(3))->record->features != 1) return false;
    }
    return true;
  };
  CHECK_FALSE(heard());
  CHECK(model.net.run_until(heard, kSecond * 30));
  CHECK(model.count[ChangeKind::kRestated] == 15);
  model.net.member(3).restate(1);  // nothing new
  model.net.settle(3);
  model.net.run_for(kSecond * 10);
  CHECK(model.count[ChangeKind::kRestated] == 15);
}

TEST_CASE("nodes that join one after the other all know each other") {
  Model model(1, bad_weather(), 6);
  for (size_t i = 1; i < 40; ++i) {
    const size_t joiner = model.net.add();
    model.net.introduce(joiner, model.net.random() % i);
    model.net.run_for(Milliseconds(200));
  }
  model.net.run_for(kSecond * 15);
  model.net.weather.loss = 0;
  CHECK(model.net.run_until([&] { return model.all_agree(); }, kSecond * 120));
  CHECK(model.count[ChangeKind::kDown] == 0);
  CHECK(model.count[ChangeKind::kJoined] == 40 * 39);
}

}  // namespace
}  // namespace om::members
