// SPDX-License-Identifier: Apache-2.0
//
// migrator/moves/keepers.h: who counts as a guest, so that admission keeps to the limits.
#include "migrator/moves/keepers.h"

#include <doctest/doctest.h>
#include <fmt/core.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

namespace om::migrator {
namespace {

Offer offer_of(const std::string& home, uid_t uid) {
  Offer offer;
  offer.home_node = home;
  offer.home = *Address::parse("127.0.0.1:4000");
  offer.session = std::string(kSessionBytes, 's');
  offer.secret = std::string(kSecretBytes, 't');
  offer.keeper_gate_abi = 1;
  offer.pid = 77;
  offer.uid = uid;
  offer.command = "job";
  offer.threads = offer.cpus = 1;
  return offer;
}

// A node with another program in place of om-guest.
struct Place {
  explicit Place(const char* script) {
    REQUIRE(::mkdtemp(path.data()) != nullptr);
    std::ofstream(path + "/om-guest") << script;
    REQUIRE(::chmod((path + "/om-guest").c_str(), 0755) == 0);
    ::setenv("OM_LIBEXEC", path.c_str(), 1);
    state.emplace(OwnDirectory::open(path).value());
    children.emplace(loop, *state);
    keepers.emplace(loop, clock, Keepers::Settings{.node = "n2"}, *children, events);
  }
  ~Place() {
    ::unsetenv("OM_LIBEXEC");
    std::filesystem::remove_all(path);
  }
  std::string path = "/tmp/om-test-XXXXXX";
  SystemClock clock;
  Loop loop;
  Events events{clock, [](pid_t) { return 0; }};
  std::optional<OwnDirectory> state;
  std::optional<ChildList> children;
  std::optional<Keepers> keepers;
};

std::string counted(const Keepers& keepers, const Offer& offer) {
  const GuestCounts counts = keepers.counts_for(offer);
  return fmt::format("{} {} {}", counts.in_all, counts.of_home, counts.of_user);
}

TEST_CASE("keepers count from their start to their end, with an earlier daemon's") {
  Place place("#!/bin/sh\nexec sleep 1000\n");
  Keepers& keepers = *place.keepers;
  const Offer offer = offer_of("n1", 1000);
  int started = 0;
  for (const Offer& each :
       {offer, offer_of("n1", 1000), offer_of("n1", 1001), offer_of("n3", 1000)}) {
    keepers.start(each, [&](Result<void> done) { started += done ? 1 : 1000; });
  }
  // None has been reported yet.
  CHECK(started == 0);
  CHECK(counted(keepers, offer) == "4 3 2");
  CHECK(counted(keepers, offer_of("n4", 1000)) == "4 0 0");
  while (started < 4) place.loop.run_once();
  CHECK(started == 4);
  CHECK(counted(keepers, offer) == "4 3 2");
  CHECK(place.children->entries().size() == 4);

  // A daemon started now knows of them only from the list, which it checks only now and then.
  ChildList inherited(place.loop, *place.state);
  Keepers later(place.loop, place.clock, {.node = "n2"}, inherited, place.events);
  CHECK(counted(later, offer) == "4 3 2");
  const auto entries = place.children->entries();
  for (const auto& [process, entry] : entries) {
    if (entry.uid == 1001) ::kill(process.pid, SIGKILL);
  }
  while (keepers.count() == 4) place.loop.run_once();
  CHECK(counted(keepers, offer) == "3 2 2");
  CHECK(inherited.entries().size() == 4);
  CHECK(counted(later, offer) == "3 2 2");
  for (const auto& [process, entry] : entries) ::kill(process.pid, SIGKILL);
  while (keepers.count() != 0) place.loop.run_once();
  CHECK(later.count() == 0);
}

TEST_CASE("one that could not be started makes room again") {
  Place place("#!/nowhere/sh\n");
  Result<void> outcome;
  bool done = false;
  place.keepers->start(offer_of("n1", 1000), [&](Result<void> started) {
    outcome = std::move(started);
    done = true;
  });
  CHECK(place.keepers->count() == 1);
  while (!done) place.loop.run_once();
  CHECK_FALSE(outcome.ok());
  CHECK(place.keepers->count() == 0);
}

}  // namespace
}  // namespace om::migrator
