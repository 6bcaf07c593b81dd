// SPDX-License-Identifier: Apache-2.0
//
// migrator/gossip/gossip_seal.h, refusals.h and start_numbers.h.
#include "migrator/gossip/gossip_seal.h"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <set>
#include <vector>

#include "common/base/hex.h"
#include "migrator/gossip/start_numbers.h"

namespace om::members {
namespace {

constexpr NodeId kSender{0x0123456789abcdef};
constexpr NodeId kReceiver{9};
constexpr uint64_t kFirst = 1700000000000000;
const MonotonicTime kNow{std::chrono::hours(1)};

GroupKey key_number(uint32_t number) {
  GroupKey key{number, {}};
  for (char byte = 0; byte < 32; ++byte) key.bytes += byte;
  return key;
}

struct Pair {
  std::set<NodeId> members{kSender};
  GossipSeal sender{kSender, kFirst, [](NodeId) { return true; }};
  GossipSeal receiver{kReceiver, 1, [this](NodeId id) { return members.contains(id); }};

  Pair() {
    REQUIRE(sender.add_key(key_number(3)));
    REQUIRE(receiver.add_key(key_number(3)));
  }
  std::string sealed(std::string_view text = "a ping") {
    auto datagram = sender.seal(text);
    REQUIRE(datagram);
    return *datagram;
  }
  // "" if it opens, else the cause.
  std::string outcome(std::string_view datagram, MonotonicTime now = kNow) {
    const auto opened = receiver.open(datagram, now);
    return opened ? "" : refusal_name(opened.error());
  }
};

TEST_CASE("a sealed datagram has the bytes of another implementation") {
  // Python's cryptography: HKDF and AESGCM, of the secret 00 01 .. 1f.
  Pair pair;
  CHECK(to_hex(pair.sealed()) ==
        "6f6d6701030000000123456789abcdef00401e18240a060027d2a5f5cd51de4ac81f5761ac657c030bea475235"
        "14");
  CHECK(to_hex(pair.sealed("")) ==
        "6f6d6701030000000123456789abcdef01401e18240a06002bca13fb675b978c9f7fd061321b312e");
}

TEST_CASE("a datagram opens once, and not with a bit changed") {
  Pair pair;
  const std::string datagram = pair.sealed();
  for (size_t bit = 0; bit < 8 * datagram.size(); ++bit) {
    std::string changed = datagram;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ 1 << bit % 8);
    CHECK_FALSE(pair.receiver.open(changed, kNow).ok());
  }
  const auto opened = pair.receiver.open(datagram, kNow);
  REQUIRE(opened);
  CHECK(opened->text == "a ping");
  CHECK(opened->sender == kSender);
  CHECK(pair.outcome(datagram) == "replay");
  CHECK(pair.outcome(datagram.substr(0, datagram.size() - 1)) == "bad_tag");
  CHECK(pair.outcome(datagram.substr(0, kSealBytes - 1)) == "malformed");
  CHECK(pair.outcome("") == "malformed");
  CHECK(pair.outcome(std::string(1300, 'x')) == "malformed");
  CHECK(pair.sealed(std::string(kMaxDatagramBytes, 'x')).size() <= kMaxSealedBytes);
  CHECK_FALSE(pair.sender.seal(std::string(kMaxDatagramBytes + 1, 'x')));
  // One's own, sent back.
  CHECK_FALSE(pair.sender.open(datagram, kNow).ok());
}

TEST_CASE("datagrams that overtake each other arrive, those far behind do not") {
  Pair pair;
  std::vector<std::string> sent;
  for (int i = 0; i < 200; ++i) sent.push_back(pair.sealed());
  CHECK(pair.outcome(sent[100]) == "");
  CHECK(pair.outcome(sent[100 - 63]) == "");
  CHECK(pair.outcome(sent[100 - 63]) == "replay");
  CHECK(pair.outcome(sent[100 - 64]) == "replay");
  CHECK(pair.outcome(sent[199]) == "");
  CHECK(pair.outcome(sent[100]) == "replay");
  CHECK(pair.outcome(sent[198]) == "");
  CHECK(pair.outcome(sent[136]) == "");
  CHECK(pair.outcome(sent[135]) == "replay");
}

TEST_CASE("the window of counters at its ends") {
  uint64_t highest = 0, seen = 0;
  CHECK(take_counter(highest, seen, 1));
  CHECK(take_counter(highest, seen, 65));  // everything before is out of the window
  CHECK(seen == 1);
  CHECK_FALSE(take_counter(highest, seen, 1));
  CHECK(take_counter(highest, seen, 2));
  CHECK(take_counter(highest, seen, UINT64_MAX));
  CHECK_FALSE(take_counter(highest, seen, UINT64_MAX));
  CHECK(take_counter(highest, seen, UINT64_MAX - 63));
  CHECK_FALSE(take_counter(highest, seen, UINT64_MAX - 64));
}

TEST_CASE("while the group key changes both keys are good") {
  Pair pair;
  const std::string old = pair.sealed();
  REQUIRE(pair.sender.add_key(key_number(4)));
  CHECK(pair.sender.newest() == 4);
  CHECK(pair.sender.sealing() == 3);
  CHECK(pair.outcome(pair.sealed()) == "");
  pair.sender.use_newest();
  const std::string under_new = pair.sealed();
  CHECK(GossipSeal::claimed_key(under_new) == 4u);
  CHECK(pair.outcome(under_new) == "unknown_key");
  REQUIRE(pair.receiver.add_key(key_number(4)));
  CHECK(pair.outcome(under_new) == "");
  CHECK(pair.outcome(old) == "");
  REQUIRE(pair.receiver.add_key(key_number(3)));  // not newer: nothing happens
  CHECK(pair.receiver.newest() == 4);
  pair.receiver.drop_older();
  pair.sender.drop_older();
  GossipSeal late(kSender, kFirst + 1000, [](NodeId) { return true; });
  REQUIRE(late.add_key(key_number(3)));
  CHECK(pair.outcome(*late.seal("x")) == "unknown_key");
}

TEST_CASE("of two keys with one number the greater one counts") {
  Pair pair;
  GroupKey twin = key_number(3);
  ++twin.bytes[0];
  REQUIRE(pair.sender.add_key(twin));
  CHECK(pair.sender.newest() == 3);
  CHECK(pair.outcome(pair.sealed()) == "bad_tag");
  REQUIRE(pair.receiver.add_key(twin));
  CHECK(pair.outcome(pair.sealed()) == "");
  REQUIRE(pair.receiver.add_key(key_number(3)));
  CHECK(pair.outcome(pair.sealed()) == "");
}

TEST_CASE("a key that follows while the last one is not in use yet") {
  Pair pair;
  for (uint32_t number : {4, 5}) {
    REQUIRE(pair.sender.add_key(key_number(number)));
    REQUIRE(pair.receiver.add_key(key_number(number)));
    CHECK(pair.sender.sealing() == number - 1);
    CHECK(pair.outcome(pair.sealed()) == "");
  }
}

TEST_CASE("strangers prove the group key, cost little and are few") {
  Pair pair;
  pair.members.clear();
  CHECK(pair.outcome(pair.sealed()) == "");  // nobody has told of it yet
  const std::string datagram = pair.sealed();
  std::string forged = datagram;
  MonotonicTime now = kNow;
  for (uint64_t i = 0; i < 10000; ++i) {
    forged[8] = static_cast<char>(i);
    forged[9] = static_cast<char>(i >> 8);
    forged[10] = 'f';
    CHECK(pair.outcome(forged, now) == "unknown_sender");
  }
  CHECK(pair.receiver.senders() == 1);
  // The known stranger is not held up by them.
  CHECK(pair.outcome(datagram, now) == "");
  // More with the group key than are remembered, in the seconds after that.
  now += std::chrono::seconds(1);
  for (uint64_t i = 0; i < 3 * GossipSeal::kMaxStrangers; ++i) {
    now += Milliseconds(20);
    GossipSeal other(NodeId{1000 + i}, kFirst, [](NodeId) { return true; });
    REQUIRE(other.add_key(key_number(3)));
    CHECK(pair.outcome(*other.seal("x"), now) == "");
  }
  CHECK(pair.receiver.senders() == GossipSeal::kMaxStrangers);
}

TEST_CASE("nothing is kept of a member that is one no more") {
  Pair pair;
  CHECK(pair.outcome(pair.sealed()) == "");
  pair.receiver.sweep();
  CHECK(pair.receiver.senders() == 1);
  pair.members.clear();
  pair.receiver.sweep();
  CHECK(pair.receiver.senders() == 0);
}

TEST_CASE("refused datagrams: one line for each source and minute, all counted") {
  std::vector<std::string> lines;
  Refusals refusals([&](const std::string& line) { lines.push_back(line); });
  MonotonicTime now = kNow;
  const Address from = *Address::parse("10.0.0.7:1");
  for (int i = 0; i < 1000; ++i) refusals.add(Refusal::kBadTag, from, now);
  REQUIRE(lines.size() == 1);
  CHECK(lines[0] == "a datagram from 10.0.0.7 was refused: its seal is wrong");
  now += std::chrono::seconds(60);
  refusals.add(Refusal::kReplay, from, now);
  REQUIRE(lines.size() == 2);
  CHECK(lines[1] ==
        "a datagram from 10.0.0.7 was refused: it has come before, or is too old, and 999 before");
  lines.clear();
  for (int i = 0; i < 5000; ++i) {
    const std::string text = "10.1." + std::to_string(i / 250) + "." + std::to_string(i % 250);
    refusals.add(Refusal::kMalformed, *Address::parse(text), now);
  }
  CHECK(refusals.sources() == Refusals::kMaxSources);
  CHECK(lines.size() == Refusals::kMaxSources);  // one is of the others together
  CHECK(refusals.count(Refusal::kMalformed) == 5000);
  CHECK(refusals.count(Refusal::kBadTag) == 1000);
  CHECK(refusals.count(Refusal::kReplay) == 1);
  // Room again, when the minute is over.
  now += std::chrono::seconds(61);
  refusals.add(Refusal::kMalformed, *Address::parse("10.9.9.9"), now);
  CHECK(refusals.sources() == 1);
}

TEST_CASE("numbers of a life are above those of the last one, whatever the clock says") {
  const WallTime now = std::chrono::system_clock::from_time_t(1800000000);
  const StartNumbers first = next_numbers({}, now);
  CHECK(first.incarnation == 1800000000);
  CHECK(first.counter == 1800000000000000);
  const StartNumbers later = next_numbers(first, now + std::chrono::hours(24 * 30));
  CHECK(later.incarnation == 1800000000 + 24 * 30 * 3600);
  CHECK(later.counter >= first.counter + kCountersPerLife);
  const StartNumbers set_back = next_numbers(first, now - std::chrono::hours(24 * 365));
  CHECK(set_back.incarnation == first.incarnation + 1);
  CHECK(set_back.counter == first.counter + kCountersPerLife);
}

TEST_CASE("the numbers are kept in a file, and a bad file is an error") {
  char place[] = "/tmp/om-gossip-test.XXXXXX";
  REQUIRE(::mkdtemp(place) != nullptr);
  auto directory = OwnDirectory::open(place);
  REQUIRE(directory);
  const WallTime now = std::chrono::system_clock::now();
  const auto first = take_start_numbers(*directory, now);
  const auto second = take_start_numbers(*directory, now - std::chrono::hours(1));
  REQUIRE(first);
  REQUIRE(second);
  CHECK(second->incarnation == first->incarnation + 1);
  CHECK(second->counter == first->counter + kCountersPerLife);
  for (const char* text : {"", "1", "1 2", "1 x\n", "99999999999999999999 1\n", "1 2\n3\n"}) {
    REQUIRE(directory->replace("gossip", text, 0600));
    CHECK_FALSE(take_start_numbers(*directory, now));
  }
  std::filesystem::remove_all(place);
}

}  // namespace
}  // namespace om::members
