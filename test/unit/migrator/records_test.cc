// SPDX-License-Identifier: Apache-2.0
//
// migrator/moves/move_record.h, migrator/processes/events.h, migrator/peers/facts.h, migrator/moves/child_list.h,
// migrator/moves/attach_key.h and the pause between attempts to reach a peer.
#include <capnp/message.h>
#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "migrator/load/readings.h"
#include "migrator/moves/attach_key.h"
#include "migrator/moves/child_list.h"
#include "migrator/moves/move_record.h"
#include "migrator/peers/facts.h"
#include "migrator/peers/peer_link.h"
#include "migrator/processes/events.h"

namespace om::migrator {
namespace {

const Move kMove{5, "n1", "n2", 12};

std::set<std::string> keys_of(const Json& record) {
  std::set<std::string> keys;
  for (auto& [key, value] : record.items()) keys.insert(key);
  return keys;
}

const std::set<std::string> kKeys{"pid",      "from",      "to",         "mode",  "freeze_ms",
                                  "total_ms", "bytes_raw", "bytes_wire", "pages", "threads",
                                  "result",   "code",      "message",    "moved"};

TEST_CASE("a record is complete, whoever made it") {
  CHECK(keys_of(unmoved_record(kMove, "refused", ReasonCode::kTraced, "x")) == kKeys);
  CHECK(keys_of(already_there_record(kMove)) == kKeys);
  CHECK(keys_of(checked_record(kMove, {})) == kKeys);
  CHECK(keys_of(checked_record(kMove, MoveReport::failure({ReasonCode::kTraced, "x"}))) == kKeys);
}

TEST_CASE("a deputy's figures are taken if they are sound") {
  MoveReport report;
  report.freeze_ms = 1.5;
  report.total_ms = std::numeric_limits<double>::quiet_NaN();
  report.pages = UINT64_MAX;
  report.bytes_raw = 4096;
  report.mode = "full";
  Json record = checked_record(kMove, report);
  CHECK(record["freeze_ms"] == 1.5);
  CHECK(record["bytes_raw"] == 4096);
  CHECK(record["pages"] == 0);
  CHECK(record["threads"] == 0);
  CHECK(record["total_ms"] == 12);
  CHECK(record["pid"] == 5);
  CHECK(record["to"] == "n2");
  CHECK(record["mode"] == "full");
  CHECK(record["moved"] == true);
  report.freeze_ms = -1;
  report.total_ms = std::numeric_limits<double>::infinity();
  record = checked_record(kMove, report);
  CHECK(record["freeze_ms"] == 0);
  CHECK(record["total_ms"] == 12);
}

TEST_CASE("records become answers with the right exit status") {
  CHECK(answer_of(checked_record(kMove, {}))["ok"] == true);
  CHECK(answer_of(already_there_record(kMove))["ok"] == true);
  CHECK(answer_of(unmoved_record(kMove, "refused", ReasonCode::kTraced, "x"))["exit"] == 6);
  CHECK(answer_of(unmoved_record(kMove, "failed", ReasonCode::kInternal, "x"))["exit"] == 1);
  Json late = answer_of(unmoved_record(kMove, "failed", ReasonCode::kTimeout, "x"));
  CHECK(late["exit"] == 7);
  CHECK(late["data"]["code"] == "TIMEOUT");
}

TEST_CASE("the ring of events keeps the last ones, numbered") {
  FakeClock clock;
  Events events(clock, [](pid_t) { return 0; });
  for (pid_t pid = 1; pid <= 1003; ++pid)
    events.add({"note", pid % 2 + 1, "n2", ReasonCode::kHomeMemory, std::to_string(pid)});
  Json list = events.list(0);
  CHECK(list.size() == Events::kCapacity);
  CHECK(list.front()["number"] == 4);
  CHECK(list.back()["message"] == "1003");
  CHECK(events.list(2).size() == 500);
  CHECK(events.list(9).empty());
}

TEST_CASE("events of a job are found by its om run, too, when both have ended") {
  FakeClock clock;
  bool alive = true;
  Events events(clock, [&](pid_t pid) { return alive && pid == 50 ? 49 : 0; });
  events.add({"moved", 50, "n2", std::nullopt, ""});
  events.add({"admitted", 50, "n3", std::nullopt, "a guest that has the same number at its home"});
  alive = false;
  events.add({"lost", 50, "n2", ReasonCode::kNodeLost, ""});
  events.add({"ended", 50, "n1", std::nullopt, ""});
  events.add({"moved", 50, "n2", std::nullopt, "another process with this number"});
  CHECK(events.list(49).size() == 3);
  CHECK(events.list(49).back()["kind"] == "ended");
  CHECK(events.list(50).size() == 5);
  CHECK(events.list(48).empty());
}

TEST_CASE("nobody pushes out what concerns somebody else") {
  FakeClock clock;
  Events events(clock, [](pid_t) { return 0; });
  events.add({"note", 7, "n2", ReasonCode::kNodeLost, "its node was lost", user_owner(1)});
  events.add({"moved", 7, "n2", std::nullopt, "n1 -> n2", user_owner(1)});
  for (int i = 0; i < 10000; ++i) {
    events.add({"refused", 8, "n2", ReasonCode::kTraced, "x", user_owner(2)});
    events.add({"note", 8, "n2", ReasonCode::kNodeLost, "x", user_owner(2)});
  }
  CHECK(events.list(7).size() == 2);
  CHECK(events.list(8).size() == 2 * Events::kCapacity);
  // Nor do many users together: the one with the most gives way.
  for (uid_t uid = 10; uid < 30; ++uid) {
    for (int i = 0; i < 1000; ++i)
      events.add({"refused", 9, "n2", ReasonCode::kTraced, "x", user_owner(uid)});
  }
  CHECK(events.list(7).size() == 2);
  CHECK(events.list(0).size() <= 2 * Events::kTotalCapacity);
}

TEST_CASE("losses are kept longer than what came after them") {
  FakeClock clock;
  Events events(clock, [](pid_t) { return 0; });
  events.add({"lost", 7, "n2", ReasonCode::kDeputyLost, "x", user_owner(1)});
  for (int i = 0; i < 5000; ++i) events.add({"moved", 7, "n2", std::nullopt, "x", user_owner(1)});
  Json list = events.list(7);
  CHECK(list.front()["kind"] == "lost");
  CHECK(list.size() == 1 + Events::kCapacity);
}

TEST_CASE("what is no code, kind or name is not passed on") {
  FakeClock clock;
  Events events(clock, [](pid_t) { return 0; });
  const std::string line = "X\n2026-11-30T00:00:00.000Z sshd[1]: Accepted key for root \x1b[31m";
  events.add({line, 7, line, std::nullopt, "m", user_owner(1)});
  Json event = events.list(7).front();
  for (const char* key : {"kind", "node", "code"}) {
    const std::string text = event[key];
    CHECK(text.find('\n') == text.npos);
    CHECK(text.find('\x1b') == text.npos);
  }
}

TEST_CASE("lines of the log: a burst, then a few a second, counted apart for each owner") {
  FakeClock clock;
  LogBudget budget(clock);
  uint64_t missing = 0;
  uint32_t taken = 0;
  for (int i = 0; i < 1000; ++i) taken += budget.take("a", missing) ? 1 : 0;
  CHECK(taken == LogBudget::kBurst);
  CHECK(missing == 0);
  CHECK(budget.take("b", missing));
  clock.advance(Milliseconds(1000));
  CHECK(budget.take("a", missing));
  CHECK(missing == 1000 - LogBudget::kBurst);
  taken = 1;
  for (int i = 0; i < 100; ++i) taken += budget.take("a", missing) ? 1 : 0;
  CHECK(taken == LogBudget::kPerSecond);
  // However many owners are invented, they use only limited memory.
  for (int i = 0; i < 5000; ++i) budget.take(std::to_string(i), missing);
}

TEST_CASE("times are RFC 3339") {
  CHECK(rfc3339(WallTime(Milliseconds(0))) == "1970-01-01T00:00:00.000Z");
  CHECK(rfc3339(WallTime(Milliseconds(1767225599999))) == "2025-12-31T23:59:59.999Z");
}

TEST_CASE("this machine's facts go over the wire and back") {
  auto facts = read_fixed_facts("n1");
  REQUIRE(facts.ok());
  REQUIRE(refresh_facts(*facts).ok());
  CHECK(facts->free_bytes > 0);
  CHECK(facts->cpus == allowed_cpus()->size());
  capnp::MallocMessageBuilder message;
  auto wire = message.initRoot<wire::NodeInfo>();
  write_info(*facts, wire);
  auto back = read_info(wire.asReader());
  REQUIRE(back.ok());
  CHECK(back->cpu_features == facts->cpu_features);
  CHECK(back->boot_id == facts->boot_id);
  CHECK(back->boot_id.size() == 36);
  wire.setName("no name");
  CHECK_FALSE(read_info(wire.asReader()).ok());
}

TEST_CASE("a later daemon knows a deputy by its secret, and no other") {
  std::string directory = "/tmp/om-test-XXXXXX";
  REQUIRE(::mkdtemp(directory.data()) != nullptr);
  const OwnDirectory state = OwnDirectory::open(directory).value();
  const ProcessId process{42, 7}, recycled{42, 8};
  const std::string secret = AttachKey(state).secret_of(process);
  CHECK(secret.size() == 64);
  const AttachKey later(state);
  CHECK(later.proves(process, secret));
  CHECK_FALSE(later.proves(recycled, secret));
  CHECK_FALSE(later.proves(process, ""));
  CHECK_FALSE(later.proves(process, secret.substr(1)));
  std::string other = secret;
  other[0] = other[0] == '0' ? '1' : '0';
  CHECK_FALSE(later.proves(process, other));
  std::filesystem::remove_all(directory);
}

TEST_CASE("the list of children survives a restart, the dead do not") {
  std::string directory = "/tmp/om-test-XXXXXX";
  REQUIRE(::mkdtemp(directory.data()) != nullptr);
  Loop loop;
  const OwnDirectory state = OwnDirectory::open(directory).value();
  const std::string path = directory + "/children";
  ProcessId own = *ProcessId::of(::getpid());
  ProcessId recycled = own;
  recycled.start_ticks += 1;
  {
    ChildList list(loop, state);
    CHECK(list.entries().empty());
    list.add(own, {"deputy", 7, ""});
    list.set_place(own, "n2", {});
    list.add(recycled, {"deputy", 8, ""});
  }
  {
    ChildList list(loop, state);
    REQUIRE(list.entries().size() == 1);
    REQUIRE(list.deputy_of(7) != nullptr);
    CHECK(list.deputy_of(7)->first == own);
    CHECK(list.deputy_of(7)->second.at == "n2");
    CHECK(list.deputy_of(8) == nullptr);
    list.remove(own);
  }
  std::ofstream(path) << "nonsense\n{\"pid\":1}\n";
  CHECK(ChildList(loop, state).entries().empty());
  {
    ChildList list(loop, state);
    list.add(own, {"deputy", 7, ""});
  }
  // What others could have written is not trusted.
  REQUIRE(::chmod(path.c_str(), 0666) == 0);
  CHECK(ChildList(loop, state).entries().empty());
  std::filesystem::remove_all(directory);
}

TEST_CASE(
    "the list of children is written ten times a second at most, the last change in the end") {
  std::string directory = "/tmp/om-test-XXXXXX";
  REQUIRE(::mkdtemp(directory.data()) != nullptr);
  const OwnDirectory state = OwnDirectory::open(directory).value();
  ProcessId own = *ProcessId::of(::getpid());
  Loop loop;
  ChildList list(loop, state);
  list.add(own, {"deputy", 7, ""});
  const uint64_t before = list.written();
  const auto begun = std::chrono::steady_clock::now();
  for (int i = 0; i < 3000; ++i) list.set_place(own, i % 2 == 0 ? "n2" : "n3", {});
  const auto whole_seconds =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - begun)
          .count();
  CHECK(list.written() - before <= 10 * (1 + static_cast<uint64_t>(whole_seconds)));
  // Callers that need to know that it has been written wait for it.
  std::string found;
  list.when_written([&] { found = ChildList(loop, state).deputy_of(7)->second.at; });
  loop.run();  // until nothing is left to be written
  CHECK(found == "n3");
  CHECK(ChildList(loop, state).deputy_of(7)->second.at == "n3");
  for (int i = 0; i < 30; ++i) list.set_place(own, i % 2 == 0 ? "n4" : "n5", {});
  {
    ChildList ends(loop, state);
    for (int i = 0; i < 30; ++i) ends.set_place(own, i % 2 == 0 ? "n6" : "n7", {});
  }
  CHECK(ChildList(loop, state).deputy_of(7)->second.at == "n7");
  std::filesystem::remove_all(directory);
}

TEST_CASE("pauses between attempts grow to a bound and are spread") {
  CHECK(reconnect_pause(1, 0.5) == Milliseconds(100));
  CHECK(reconnect_pause(2, 0.5) == Milliseconds(200));
  CHECK(reconnect_pause(1000000, 0.5) == Milliseconds(5000));
  CHECK(reconnect_pause(3, 0) == Milliseconds(300));
  CHECK(reconnect_pause(3, 1) == Milliseconds(500));
}

}  // namespace
}  // namespace om::migrator
