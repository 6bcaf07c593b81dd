// SPDX-License-Identifier: Apache-2.0
//
// The membership by etcd without an etcd: answers go in, requests and changes come out.
#include "migrator/etcd/machine.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "common/base/base64.h"
#include "common/net/json_line.h"

namespace om::etcd {
namespace {

using members::ChangeKind;
using members::State;

constexpr const char* kPrefix = "/openmosix/00/";

members::NodeRecord record_of(uint64_t id, const std::string& name) {
  members::NodeRecord record;
  record.id = NodeId(id);
  record.name = name;
  record.number = static_cast<uint32_t>(id);
  record.addresses = {members::v4_address(10, 0, 0, static_cast<uint8_t>(id))};
  record.port = 4700;
  return record;
}

Json kv_of(const std::string& key, const std::string& value, int64_t revision) {
  return {{"key", to_base64(key)},
          {"value", to_base64(value)},
          {"mod_revision", std::to_string(revision)}};
}

Json node_kv(uint64_t id, int64_t revision, bool left = false) {
  return kv_of(node_key(kPrefix, NodeId(id)),
               to_value(NodeState{record_of(id, "n" + std::to_string(id)), left}), revision);
}

using Kvs = std::vector<Json>;

std::string range_of(const Kvs& kvs, int64_t revision) {
  return to_json_text({{"header", {{"revision", std::to_string(revision)}}}, {"kvs", kvs}});
}

// A machine, and an etcd that answers as the test says.
struct Site {
  explicit Site(size_t endpoints = 1, const std::string& user = "") {
    Machine::Settings settings;
    settings.prefix = kPrefix;
    settings.self = record_of(1, "n1");
    settings.endpoints = endpoints;
    settings.user = user;
    settings.password = user;
    settings.verify_deny = [](NodeId, std::string_view entry) { return entry == "signed"; };
    machine.emplace(std::move(settings));
    machine->start();
    take();
  }
  Now now() const { return {MonotonicTime(time), WallTime(time)}; }
  void take() {
    Machine::Output next = machine->take_output();
    if (next.reset) requests.clear();
    for (auto& request : next.requests) requests.push_back(std::move(request));
    for (auto& change : next.changes)
      changes.emplace_back(change.kind, static_cast<uint64_t>(change.member.id));
    if (next.lost) ++lost;
    if (next.back) ++back;
    if (next.ask_for_key) asked.push_back(*next.ask_for_key);
    if (next.all_tokens) tokens = *next.all_tokens;
  }
  // The oldest request, which goes to `path`.
  Machine::Request next(const std::string& path) {
    REQUIRE_FALSE(requests.empty());
    Machine::Request request = requests.front();
    requests.erase(requests.begin());
    REQUIRE(std::string(request.path) == path);
    return request;
  }
  void answer(const Machine::Request& request, const std::string& body, long status = 200) {
    machine->answered(now(), request.number, status, body);
    take();
  }
  void advance(Milliseconds by) {
    time += by;
    machine->tick(now());
    take();
  }
  void watch(Json events, Json more = Json::object()) {
    more["header"] = {{"revision", "100"}};
    more["events"] = std::move(events);
    machine->watched(now(), watching, to_json_text({{"result", std::move(more)}}));
    take();
  }
  void lease(const char* id = "77") {
    answer(next(kGrantPath), std::string(R"({"ID":")") + id + R"(","TTL":"4"})");
    answer(next(kPutPath), "{}");
  }
  void read(const Kvs& kvs, int64_t revision = 10) {
    answer(next(kRangePath), range_of(kvs, revision));
    const auto request = next(kWatchPath);
    watching = request.number;
    watch_body = request.body;
  }
  Json events(bool deleted, Json kv) {
    return Json::array({{{"type", deleted ? "DELETE" : "PUT"}, {"kv", std::move(kv)}}});
  }

  std::chrono::nanoseconds time{std::chrono::hours(1)};
  std::optional<Machine> machine;
  std::vector<Machine::Request> requests;
  std::vector<std::pair<ChangeKind, uint64_t>> changes;
  std::vector<std::string> asked;
  std::set<std::string> tokens;
  uint64_t watching = 0;
  std::string watch_body;
  int lost = 0, back = 0;
};

using Changes = std::vector<std::pair<ChangeKind, uint64_t>>;

TEST_CASE("a node puts its record under a lease, reads all and watches") {
  Site site;
  site.lease();
  site.read({node_kv(1, 5), node_kv(2, 6), kv_of(token_key(kPrefix, "abc"), "sealed", 7)});
  CHECK(site.changes == Changes{{ChangeKind::kJoined, 2}});
  CHECK(site.tokens == std::set<std::string>{"abc"});
  CHECK(site.machine->ready());
  const auto watch = parse_json_line(site.watch_body).value()["create_request"];
  CHECK(watch["start_revision"] == "11");
  CHECK(from_base64(watch["key"].get<std::string>()) == kPrefix);
  site.watch(site.events(false, node_kv(3, 11)));
  CHECK(site.changes.back() == std::pair{ChangeKind::kJoined, uint64_t{3}});
  CHECK(site.machine->members().find(NodeId(3))->name == "n3");
  // Kept alive at a third of its life.
  site.advance(Milliseconds(1300));
  site.answer(site.next(kKeepAlivePath), R"({"result":{"ID":"77","TTL":"4"}})"
                                         "\n");
  CHECK(site.requests.empty());
}

std::string kept(const char* ttl = "4") {
  return std::string(R"({"result":{"ID":"77","TTL":")") + ttl + "\"}}\n";
}

// A site that has had etcd from the beginning.
struct Settled : Site {
  explicit Settled(const Kvs& kvs, size_t endpoints = 1) : Site(endpoints) {
    lease();
    read(kvs);
    requests.clear();
    changes.clear();
  }
  // It has not been away lately, so what is gone is down at once.
  void lose_contact() {
    advance(Milliseconds(1300));
    const auto request = next(kKeepAlivePath);
    machine->failed(now(), request.number, "timeout");
    take();
  }
};

TEST_CASE("a lease that has ended is down, a farewell is left, a new key is up or joined") {
  Settled site(Kvs{node_kv(2, 6), node_kv(3, 7)});
  site.watch(site.events(true, node_kv(2, 20)));
  site.watch(site.events(false, node_kv(2, 21)));
  site.watch(site.events(false, node_kv(3, 22, true)));
  site.watch(site.events(true, node_kv(3, 23)));
  site.watch(site.events(false, node_kv(3, 24)));
  CHECK(site.changes == Changes{{ChangeKind::kDown, 2},
                                {ChangeKind::kUp, 2},
                                {ChangeKind::kLeft, 3},
                                {ChangeKind::kJoined, 3}});
  // The same once more is no change; another address is.
  site.changes.clear();
  site.watch(site.events(false, node_kv(2, 25)));
  CHECK(site.changes.empty());
  NodeState moved{record_of(2, "n2"), false};
  moved.record.port = 4701;
  site.watch(site.events(false, kv_of(node_key(kPrefix, NodeId(2)), to_value(moved), 26)));
  CHECK(site.changes == Changes{{ChangeKind::kRestated, 2}});
}

TEST_CASE("without etcd nothing changes, and it is said once") {
  Settled site(Kvs{node_kv(2, 6)});
  site.lose_contact();
  for (int i = 0; i < 20; ++i) {
    site.advance(Milliseconds(500));
    if (site.requests.empty()) continue;
    const auto request = site.next(kKeepAlivePath);  // the lease may still be there
    site.machine->failed(site.now(), request.number, "connection refused");
    site.take();
  }
  CHECK(site.lost == 1);
  CHECK(site.back == 0);
  CHECK(site.changes.empty());
  CHECK(site.machine->members().find(NodeId(2))->state == State::kAlive);
  // It is back, with nothing: a new lease, the record again, and time for the other.
  site.advance(Milliseconds(500));
  site.answer(site.next(kKeepAlivePath), kept("0"));
  site.lease("78");
  site.read({});
  CHECK(site.back == 1);
  site.answer(site.next(kPutPath), "{}");  // its own record was not there
  site.advance(Milliseconds(5900));
  CHECK(site.changes.empty());
  SUBCASE("which comes") {
    site.watch(site.events(false, node_kv(2, 3)));
    site.advance(Milliseconds(60000));
    CHECK(site.changes.empty());
  }
  SUBCASE("which does not") {
    site.advance(Milliseconds(200));
    CHECK(site.changes == Changes{{ChangeKind::kDown, 2}});
  }
}

TEST_CASE("nobody is down because etcd fails again while it settles") {
  Settled site(Kvs{node_kv(1, 5), node_kv(2, 6)});
  site.lose_contact();
  site.advance(Milliseconds(500));
  site.answer(site.next(kKeepAlivePath), kept("0"));
  site.lease("78");
  site.read({node_kv(1, 9)});
  site.lose_contact();
  for (int i = 0; i < 100; ++i) {
    site.advance(Milliseconds(500));
    if (site.requests.empty()) continue;
    site.machine->failed(site.now(), site.next(kKeepAlivePath).number, "connection refused");
    site.take();
  }
  CHECK(site.changes.empty());
  CHECK(site.machine->next_wake() > site.now().time);
}

TEST_CASE("an answer to an earlier reading is not taken for the new one") {
  Settled site(Kvs{node_kv(1, 5), node_kv(2, 6)});
  site.machine->read_again();
  site.take();
  const auto old = site.next(kRangePath);
  site.advance(Milliseconds(1300));
  site.answer(site.next(kKeepAlivePath), kept("0"));  // the lease has ended meanwhile
  site.lease("78");
  site.answer(old, range_of({}, 3));
  CHECK_FALSE(site.machine->ready());
  site.read({node_kv(1, 9), node_kv(2, 6)});
  CHECK(site.machine->ready());
  CHECK(site.changes.empty());
}

TEST_CASE("the next endpoint is tried at once") {
  Settled site(Kvs{node_kv(2, 6)}, 2);
  CHECK(site.machine->endpoint() == 0);
  site.lose_contact();
  CHECK(site.machine->endpoint() == 1);
  // Who asks meanwhile is to wait until the other one has been asked.
  CHECK_FALSE(site.machine->ready());
  CHECK(site.machine->trouble().empty());
  site.advance(Milliseconds(0));
  site.answer(site.next(kKeepAlivePath), kept());
  site.answer(site.next(kPutPath), "{}");
  site.read({node_kv(1, 5), node_kv(2, 6)});
  CHECK(site.lost == 0);
  CHECK(site.changes.empty());
  site.lose_contact();
  site.advance(Milliseconds(0));
  site.machine->failed(site.now(), site.next(kKeepAlivePath).number, "silence");
  CHECK(site.machine->trouble() == "silence");
}

TEST_CASE("a watch that was compacted, or has ended, is replaced by reading all") {
  Settled site(Kvs{node_kv(2, 6), node_kv(3, 7)});
  SUBCASE("compacted") {
    site.watch(Json::array(), {{"canceled", true}, {"compact_revision", "50"}});
  }
  SUBCASE("ended") {
    site.watch(Json::array());
    site.machine->failed(site.now(), site.watching, "closed");
    site.take();
  }
  const uint64_t old = site.watching;
  site.read({node_kv(1, 5), node_kv(3, 7), node_kv(4, 60)}, 60);
  CHECK(site.watching != old);
  CHECK(site.changes == Changes{{ChangeKind::kJoined, 4}, {ChangeKind::kDown, 2}});
  CHECK(site.lost == 0);
  // What is late of the old one is of no interest.
  site.machine->watched(site.now(), old, R"({"result":{"canceled":true}})");
  site.take();
  CHECK(site.requests.empty());
}

TEST_CASE("keys come in pieces, of one revision") {
  Site site;
  site.lease();
  const auto first = site.next(kRangePath);
  CHECK(parse_json_line(first.body)->contains("revision") == false);
  Json piece = {
      {"header", {{"revision", "10"}}}, {"more", true}, {"kvs", Json::array({node_kv(2, 6)})}};
  site.answer(first, to_json_text(piece));
  const auto second = site.next(kRangePath);
  const auto asked = parse_json_line(second.body).value();
  CHECK(asked["revision"] == "10");
  CHECK(from_base64(asked["key"].get<std::string>()) ==
        node_key(kPrefix, NodeId(2)) + std::string(1, '\0'));
  site.answer(second, range_of({node_kv(3, 7)}, 12));
  CHECK(site.changes == Changes{{ChangeKind::kJoined, 2}, {ChangeKind::kJoined, 3}});
  CHECK(site.machine->ready());
}

TEST_CASE("authentication comes first, and again when its token has ended") {
  Site site(1, "om");
  const auto login = site.next(kAuthenticatePath);
  CHECK(parse_json_line(login.body)->at("name") == "om");
  site.answer(login, R"({"token":"abc.1"})");
  CHECK(site.machine->token() == "abc.1");
  site.lease();
  site.read({node_kv(1, 1)});
  site.advance(Milliseconds(1300));
  site.answer(site.next(kKeepAlivePath), R"({"error":"etcdserver: invalid auth token","code":16})",
              401);
  CHECK(site.machine->token().empty());
  site.advance(Milliseconds(500));
  site.answer(site.next(kAuthenticatePath), R"({"token":"abc.2"})");
  site.answer(site.next(kKeepAlivePath), kept());
  CHECK(site.machine->token() == "abc.2");
  CHECK(site.lost == 0);
}

TEST_CASE("removed nodes are told by entries that the CA has signed") {
  Settled site(Kvs{node_kv(2, 6), node_kv(3, 7)});
  site.watch(site.events(false, kv_of(denied_key(kPrefix, NodeId(2)), to_base64("forged"), 20)));
  CHECK(site.changes.empty());
  CHECK(site.machine->malformed() == 1);
  site.watch(site.events(false, kv_of(denied_key(kPrefix, NodeId(2)), to_base64("signed"), 21)));
  CHECK(site.changes == Changes{{ChangeKind::kDenied, 2}});
  site.watch(site.events(false, node_kv(2, 22)));
  CHECK(site.changes.size() == 1);
  // Another one of the same node is as good.
  site.requests.clear();
  // What is no entry is replaced by the real one.
  site.watch(site.events(false, kv_of(denied_key(kPrefix, NodeId(2)), "garbage", 23)));
  CHECK(parse_json_line(site.next(kTxnPath).body).value()["compare"][0]["mod_revision"] == "23");
  // One of this node's goes there, once.
  site.requests.clear();
  site.machine->deny(site.now(), NodeId(3), "signed");
  site.take();
  const auto request = site.next(kTxnPath);
  CHECK(request.body.find(to_base64(denied_key(kPrefix, NodeId(3)))) != std::string::npos);
  CHECK(site.requests.empty());
}

TEST_CASE("of the group key there is the number only, and who has it") {
  Site site;
  site.machine->use_key(site.now(), {1, "12345678", "n1"});
  site.lease();
  site.read({node_kv(1, 5)});
  const auto put = parse_json_line(site.next(kTxnPath).body).value();
  CHECK(put["compare"][0]["mod_revision"] == "0");
  const auto value = to_value(KeyStatement{2, "87654321", "n2"});
  site.watch(site.events(false, kv_of(group_key_key(kPrefix), value, 30)));
  CHECK(site.asked == std::vector<std::string>{"n2"});
  site.advance(Milliseconds(1000));
  CHECK(site.asked.size() == 1);
  site.requests.clear();
  site.machine->use_key(site.now(), {2, "87654321", "n1"});
  site.take();
  CHECK(site.requests.empty());
  site.machine->use_key(site.now(), {3, "abcdefgh", "n1"});
  site.take();
  CHECK(parse_json_line(site.next(kTxnPath).body).value()["compare"][0]["mod_revision"] == "30");
}

TEST_CASE("a farewell outlives the lease") {
  Settled site(Kvs{node_kv(1, 5)});
  site.machine->leave(site.now());
  site.take();
  site.answer(site.next(kGrantPath), R"({"ID":"99","TTL":"3600"})");
  const auto put = parse_json_line(site.next(kPutPath).body).value();
  CHECK(put["lease"] == "99");
  CHECK(parse_node(from_base64(put["value"].get<std::string>()).value())->left);
  // And nothing puts the record back.
  site.watch(site.events(true, node_kv(1, 40)));
  CHECK(site.requests.empty());
}

TEST_CASE("what etcd would not say is refused") {
  CHECK(read_range("[]").ok() == false);
  CHECK(read_range(R"({"kvs":[{"key":"!"}]})").ok() == false);
  CHECK(read_range(R"({"kvs":[{}]})").ok() == false);
  CHECK(read_range(R"({"header":{"revision":"-1"}})").ok() == false);
  CHECK(read_range(R"({"more":true})").ok() == false);
  CHECK(read_lease(R"({"ID":"0","TTL":"4"})").ok() == false);
  CHECK(read_lease(R"({"ID":"12"})").ok() == false);
  CHECK(read_kept_alive("{}").ok() == false);
  CHECK(read_kept_alive(R"({"result":{"ID":"5"}})")->ttl_s == 0);
  CHECK(read_token(R"({"token":"a\r\nb"})").ok() == false);
  CHECK(read_watched(R"({"result":{"events":[{"type":"MOVE"}]}})").ok() == false);
  CHECK(read_watched(R"({"error":{"message":"no leader"}})").error().text() == "no leader");
  CHECK(read_complaint(503, "<html>").text == "HTTP status 503");
  CHECK(read_complaint(401, R"({"error":"x","code":16})").code == kUnauthenticated);
  const std::string longer(kMaxValueBytes + 1, 'x');
  CHECK(read_range(range_of({kv_of("k", longer, 1)}, 1)).ok() == false);
  CHECK_FALSE(parse_node(R"({"id":"0000000000000001","name":"N"})").ok());
  CHECK(parse_key(kPrefix, "/openmosix/00/nodes/../x").kind == KeyKind::kOther);
}

TEST_CASE("base64 has one text for each value") {
  for (const std::string& bytes : {std::string(), std::string("a"), std::string("ab"),
                                   std::string("abc"), std::string("\0\xff\x80", 3)})
    CHECK(from_base64(to_base64(bytes)) == bytes);
  CHECK(to_base64("ab") == "YWI=");
  for (const char* text : {"Y", "YW", "YWI", "YWJ=", "YW==YW==", "=WI=", "YW=I", "Y===", "Y I="})
    CHECK_FALSE(from_base64(text).has_value());
}

}  // namespace
}  // namespace om::etcd
