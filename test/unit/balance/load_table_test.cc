// SPDX-License-Identifier: Apache-2.0
//
// balance/load_entry.h and balance/load_table.h.
#include "balance/load_table.h"

#include <doctest/doctest.h>

#include "balance/trust.h"
#include "balance/view.h"

namespace om::balance {
namespace {

LoadEntry entry_of(uint64_t node, double k, uint32_t sequence = 1, double age = 0) {
  LoadEntry entry;
  entry.node = NodeId{node};
  entry.incarnation = 7;
  entry.sequence = sequence;
  entry.k = k;
  entry.machine = {4, 8, 1.25};
  entry.free_bytes = 1000.0 * (1 << 20);
  entry.total_bytes = 4096.0 * (1 << 20);
  entry.feature_class = 2;
  entry.age_s = age;
  return entry;
}

std::vector<LoadEntry> decoded(const std::string& bytes) {
  std::vector<LoadEntry> entries;
  REQUIRE(decode_load(bytes, entries).ok());
  return entries;
}

TEST_CASE("an entry has forty bytes and survives them") {
  LoadEntry entry = entry_of(0x123456789abcdef0, 2.5, 9, 1.25);
  entry.told = 3.75;
  entry.flags = kFlagDrain | 0x80;
  const std::string bytes = encode_load({&entry, 1});
  CHECK(bytes.size() == kLoadHeaderBytes + kLoadEntryBytes);
  CHECK(is_load(bytes));
  CHECK(decoded(bytes).front() == entry);
}

TEST_CASE("what does not fit is clamped") {
  LoadEntry entry = entry_of(2, 1e9, 1, 1e9);
  entry.machine.speed = 0;
  entry.free_bytes = -1;
  entry.total_bytes = 1e30;
  const LoadEntry same = decoded(encode_load({&entry, 1})).front();
  CHECK(same.k == doctest::Approx(65536).epsilon(0.001));
  CHECK(same.age_s == 655.35);
  CHECK(same.machine.speed == 0.001);
  CHECK(same.free_bytes == 0);
  CHECK(same.total_bytes > 4e12);
}

TEST_CASE("malformed datagrams leave nothing behind") {
  const LoadEntry entry = entry_of(2, 1);
  const std::string good = encode_load({&entry, 1});
  std::vector<LoadEntry> entries(3);
  for (const std::string& bad :
       {std::string(), std::string("oml"), good.substr(0, 4), good.substr(0, 43), good + "x",
        "omd" + good.substr(3), std::string("oml\2") + good.substr(4)}) {
    CHECK_FALSE(decode_load(bad, entries).ok());
    CHECK(entries.empty());
  }
  std::string many = good;
  for (int i = 0; i < 16; ++i) many += good.substr(4);
  CHECK_FALSE(decode_load(many, entries).ok());
  LoadEntry none = entry;
  none.machine.cores = 0;
  CHECK_FALSE(decode_load(encode_load({&none, 1}), entries).ok());
  none.machine = {8, 4, 1};
  CHECK_FALSE(decode_load(encode_load({&none, 1}), entries).ok());
}

TEST_CASE("the newer entry counts, and its age goes on") {
  LoadTable table(NodeId{1}, 1);
  table.learn(100, entry_of(2, 1, 5, 2));
  table.learn(101, entry_of(2, 9, 4, 0));
  CHECK(table.find(NodeId{2})->entry.k == 1);
  CHECK(table.find(NodeId{2})->made_s == 98);
  table.learn(101, entry_of(2, 3, 6, 0.5));
  CHECK(table.find(NodeId{2})->entry.k == 3);
  LoadEntry again = entry_of(2, 4, 1);
  again.incarnation = 8;
  table.learn(102, again);
  CHECK(table.find(NodeId{2})->entry.k == 4);
  table.learn(102, entry_of(1, 50));
  table.learn(102, entry_of(3, 50, 1, 61));
  CHECK(table.known().size() == 1);
  table.forget(NodeId{2});
  table.forget(NodeId{2});
  CHECK(table.known().empty());
}

TEST_CASE("the newest are kept") {
  LoadTable table(NodeId{1}, 1, 3);
  for (uint64_t node = 2; node < 8; ++node)
    table.learn(100, entry_of(node, 0, 1, static_cast<double>(node)));
  for (const uint64_t node : {2, 3, 4}) CHECK(table.find(NodeId{node}) != nullptr);
  CHECK(table.known().size() == 3);
  table.learn(100, entry_of(9, 0, 1, 0));
  CHECK(table.find(NodeId{9}) != nullptr);
  CHECK(table.find(NodeId{4}) == nullptr);
}

TEST_CASE("a message has the own entry and the newest others with their ages") {
  LoadTable table(NodeId{1}, 3);
  LoadEntry own = entry_of(99, 2);
  own.sequence = 77;
  table.set_own(own);
  for (uint64_t node = 2; node < 40; ++node)
    table.learn(100, entry_of(node, 0, 1, static_cast<double>(node) / 10));
  auto entries = decoded(table.tell(101));
  CHECK(entries.size() == 16);
  CHECK(entries[0].node == NodeId{1});
  CHECK(entries[0].incarnation == 3);
  CHECK(entries[0].sequence == 1);
  CHECK(entries[0].age_s == 0);
  for (size_t i = 1; i < entries.size(); ++i) {
    CHECK(static_cast<uint64_t>(entries[i].node) <= 16);
    CHECK(entries[i].age_s ==
          doctest::Approx(1 + static_cast<double>(static_cast<uint64_t>(entries[i].node)) / 10));
  }
  CHECK(decoded(table.tell(101))[0].sequence == 2);
  CHECK(table.state().sequence == 3);
  CHECK(decoded(table.tell(200)).size() == 1);
}

TEST_CASE("when to tell") {
  LoadTable table(NodeId{1}, 1);
  table.set_own(entry_of(1, 1));
  CHECK(table.due_s(50) == 50);
  static_cast<void>(table.tell(50));
  CHECK(table.due_s(50) == 50.5);
  table.set_own(entry_of(1, 1.4));
  CHECK(table.due_s(50) == 50.5);
  table.set_own(entry_of(1, 1.5));
  CHECK(table.due_s(50) == doctest::Approx(50.1));
  CHECK(table.due_s(60) == 60);
}

TEST_CASE("what was sent counts until there are news, and is not told to others") {
  LoadTable table(NodeId{1}, 1);
  table.learn(10, entry_of(2, 1));
  table.expect(NodeId{2}, 1, 100 << 20);
  table.expect(NodeId{3}, 1, 0);
  const NodeLoad load = load_of(*table.find(NodeId{2}), 12);
  CHECK(load.k == 2);
  CHECK(load.free_bytes == 900.0 * (1 << 20));
  CHECK(load.age_s == 2);
  CHECK(decoded(table.tell(12))[1].k == 1);
  table.learn(13, entry_of(2, 1.5, 2));
  CHECK(load_of(*table.find(NodeId{2}), 13).k == 1.5);
}

TEST_CASE("malformed messages change nothing") {
  LoadTable table(NodeId{1}, 1);
  const LoadEntry entry = entry_of(2, 1);
  const std::string good = encode_load({&entry, 1});
  CHECK_FALSE(table.hear(1, good.substr(1)).ok());
  CHECK(table.known().empty());
  CHECK(table.hear(1, good).ok());
  CHECK(table.known().size() == 1);
}

TEST_CASE("a node that shows nothing gets sixteen processes, a liar none for ten minutes") {
  Trust trust;
  const NodeId node{5};
  for (int i = 0; i < 16; ++i) {
    CHECK(trust.may_send(node, 0));
    trust.sent(node);
  }
  CHECK_FALSE(trust.may_send(node, 0));
  trust.gone(node);
  CHECK(trust.may_send(node, 0));
  trust.sent(node);
  // It promised a CPU for each, and they get a sixteenth.
  for (int i = 0; i < 16; ++i) trust.measured(node, 2, 2.0 / 16, 2, true);
  CHECK_FALSE(trust.may_send(node, 601));
  CHECK(trust.may_send(node, 602));
  CHECK(trust.may_send(NodeId{6}, 0));
}

TEST_CASE("who keeps its promise may have any number") {
  Trust trust;
  const NodeId node{5};
  for (int i = 0; i < 200; ++i) {
    REQUIRE(trust.may_send(node, i));
    trust.sent(node);
    trust.measured(node, i, 1.2, 2, true);
  }
  CHECK(promised_share({2, 2, 1}, 0) == 1);
  CHECK(promised_share({2, 2, 1}, 4) == 0.5);
  CHECK(promised_share({2, 2, 3}, 8) == 0.25);
}

}  // namespace
}  // namespace om::balance
