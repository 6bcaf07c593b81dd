// SPDX-License-Identifier: Apache-2.0
#include "deputy/home/plan_threads.h"

#include "test/unit/deputy/made_up.h"

namespace om::deputy {
namespace {

std::vector<pid_t> tids(const std::vector<StoppedThread>& threads) {
  std::vector<pid_t> out;
  for (const auto& t : threads) out.push_back(t.tid);
  return out;
}

TEST_CASE("threads of the program keep their order") {
  MadeUpHome home;
  std::vector<StoppedThread> threads;
  for (pid_t tid : {11, 12, 13}) threads.push_back(MadeUpHome::thread(home.side, tid, -1));
  REQUIRE(place_threads(home.side, threads).ok());
  CHECK(tids(threads) == std::vector<pid_t>{11, 12, 13});
}

TEST_CASE("a thread that still ends a transfer keeps its slot") {
  MadeUpHome home;
  std::vector<StoppedThread> threads;
  threads.push_back(MadeUpHome::thread(home.side, 11, 2));
  threads.push_back(MadeUpHome::thread(home.side, 12, -1));
  threads.push_back(MadeUpHome::thread(home.side, 13, 0));
  REQUIRE(place_threads(home.side, threads).ok());
  CHECK(tids(threads) == std::vector<pid_t>{13, 12, 11});
}

TEST_CASE("every order of slots is sorted") {
  MadeUpHome home;
  std::vector<int> slots{0, 1, 2, 3};
  do {
    std::vector<StoppedThread> threads;
    for (int slot : slots) threads.push_back(MadeUpHome::thread(home.side, 10 + slot, slot));
    REQUIRE(place_threads(home.side, threads).ok());
    CHECK(tids(threads) == std::vector<pid_t>{10, 11, 12, 13});
  } while (std::next_permutation(slots.begin(), slots.end()));
}

TEST_CASE("slots have no gaps: one whose slot is beyond the threads cannot leave") {
  MadeUpHome home;
  std::vector<StoppedThread> threads;
  threads.push_back(MadeUpHome::thread(home.side, 11, 3));
  threads.push_back(MadeUpHome::thread(home.side, 12, -1));
  const Step placed = place_threads(home.side, threads);
  REQUIRE(!placed.ok());
  CHECK(placed.error().code == ReasonCode::kInCall);
}

TEST_CASE("two threads in one slot are refused") {
  MadeUpHome home;
  std::vector<StoppedThread> threads;
  threads.push_back(MadeUpHome::thread(home.side, 11, 1));
  threads.push_back(MadeUpHome::thread(home.side, 12, 1));
  CHECK(!place_threads(home.side, threads).ok());
}

}  // namespace
}  // namespace om::deputy
