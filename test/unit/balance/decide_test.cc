// SPDX-License-Identifier: Apache-2.0
//
// balance/decide.h on made-up snapshots.
#include "balance/decide.h"

#include <doctest/doctest.h>

namespace om::balance {
namespace {

Snapshot three_nodes() {
  Snapshot snapshot;
  snapshot.self = "n1";
  snapshot.nodes = {
      {.name = "n1", .up = true, .cpus = 2, .load_centis = 150},
      {.name = "n2", .up = true, .cpus = 8, .load_centis = 700, .guests = 3},
      {.name = "n3", .up = false, .why_down = "connection refused"},
  };
  snapshot.processes = {{{40, 7}, "n1", true}, {{41, 8}, "n2", true}, {{42, 9}, "n3", false}};
  return snapshot;
}

TEST_CASE("a target is a node that can be asked") {
  const Snapshot snapshot = three_nodes();
  CHECK_FALSE(refuse_target(snapshot, "n1"));
  CHECK_FALSE(refuse_target(snapshot, "n2"));
  auto down = refuse_target(snapshot, "n3");
  REQUIRE(down);
  CHECK(down->code == ReasonCode::kTargetUnreachable);
  CHECK(down->detail == "n3, connection refused");
  CHECK(refuse_target(snapshot, "n4")->detail == "n4 is no peer");
  CHECK(refuse_target(Snapshot{}, "n1"));
}

TEST_CASE("a recall is for everything that can be told") {
  const Snapshot snapshot = three_nodes();
  const std::vector<Action> expected{{{40, 7}, "n1"}, {{41, 8}, "n1"}};
  CHECK(recall_all(snapshot) == expected);
  CHECK(recall_all(snapshot) == expected);
  CHECK(recall_all(Snapshot{}).empty());
}

}  // namespace
}  // namespace om::balance
