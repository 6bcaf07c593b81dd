// SPDX-License-Identifier: Apache-2.0
//
// What holds for every policy and any view: random views, each from its own seed, which a failure names.
#include <doctest/doctest.h>

#include <cmath>
#include <map>

#include "balance/admission.h"
#include "test/unit/balance/views.h"

namespace om::balance {
namespace {

constexpr Policy kMoving[] = {Policy::kFlow, Policy::kMosix, Policy::kOpportunity,
                              Policy::kTwoChoices};

class Maker {
 public:
  explicit Maker(uint64_t seed) : random_(seed) {}

  double real(double most) { return most * static_cast<double>(random_() >> 11) * 0x1p-53; }
  bool one_in(uint64_t n) { return random_() % n == 0; }

  NodeLoad node(uint64_t id) {
    const double cores = 1 + std::floor(real(8));
    NodeLoad load =
        node_of(id, real(12), {cores, cores * (one_in(2) ? 2 : 1), 0.3 + real(2)}, real(8000));
    load.flags = one_in(4) ? static_cast<uint8_t>(random_() % 16) : 0;
    load.feature_class = static_cast<uint8_t>(random_() % 4);
    load.age_s = real(10);
    load.reachable = !one_in(8);
    load.trusted = !one_in(8);
    return load;
  }

  ProcessLoad process(int pid, size_t nodes) {
    ProcessLoad process =
        process_of(pid, real(30), real(1000), one_in(3) ? 1 + random_() % nodes : 1);
    process.age_s = real(3);
    process.calls_per_cpu_s = one_in(3) ? real(30000) : 0;
    process.feature_class = static_cast<uint8_t>(random_() % 3);
    process.since_arrival_s = real(20);
    process.last_move_s = real(1);
    process.recent_moves = std::floor(real(4));
    process.threads = 1 + std::floor(real(3));
    process.cpu_share = real(1);
    process.locked = one_in(6);
    process.moving = one_in(10);
    process.movable = !one_in(10);
    if (one_in(3)) process.allowed = &list_;
    return process;
  }

  View view() {
    View view;
    const uint64_t nodes = 2 + random_() % 20;
    list_ = {one_in(2), {}};
    for (uint64_t id = 2; id <= nodes; ++id) {
      view.others.push_back(node(id));
      if (one_in(2)) list_.nodes.push_back(NodeId{id});
    }
    view.self = node(1);
    view.self.k = real(30);
    view.cluster_size = nodes;
    view.processes_stay = one_in(10);
    view.missing_bytes = one_in(4) ? real(1000) * kMebibyte : 0;
    const uint64_t processes = 1 + random_() % 20;
    for (uint64_t i = 0; i < processes; ++i)
      view.processes.push_back(process(static_cast<int>(100 + i), nodes));
    return view;
  }

 private:
  std::mt19937_64 random_;
  NodeList list_;
};

const NodeLoad* find(const View& view, NodeId node) {
  for (const NodeLoad& other : view.others) {
    if (other.node == node) return &other;
  }
  return nullptr;
}

void check_move(const View& view, const Move& move) {
  const ProcessLoad& process = view.processes[move.process];
  const NodeLoad* target = find(view, move.to);
  REQUIRE(target != nullptr);
  CHECK_FALSE(process.locked);
  CHECK_FALSE(process.moving);
  CHECK(process.movable);
  CHECK_FALSE((view.processes_stay && process.home == view.self.node));
  CHECK(process.since_arrival_s >= 1);
  CHECK((process.age_s >= 0.3 || move.cause == Cause::kMemory));
  CHECK(process.since_arrival_s >= 10 * process.last_move_s);
  CHECK(target->reachable);
  CHECK(target->age_s <= 8);
  CHECK(target->free_bytes >= 1.1 * process.resident_bytes);
  if (target->node == process.home) return;
  CHECK((target->flags & 15) == 0);
  CHECK(target->trusted);
  CHECK(target->feature_class >= process.feature_class);
  CHECK((process.allowed == nullptr || process.allowed->allows(target->node)));
}

TEST_CASE("never to a node that is blocked, too small, foreign, not allowed; never who is locked") {
  size_t moves = 0;
  for (uint64_t seed = 1; seed <= 3000; ++seed) {
    CAPTURE(seed);
    Maker maker(seed);
    const View view = maker.view();
    for (const Policy policy : kMoving) {
      CAPTURE(name(policy));
      const Decision decision = decided(policy, view, seed);
      CHECK(decision.moves.size() <= 16);
      for (const Move& move : decision.moves) check_move(view, move);
      moves += decision.moves.size();
    }
    PolicyState state;
    for (const Policy policy : {Policy::kFlow, Policy::kOpportunity, Policy::kRoundRobin}) {
      const NewJob job{1, 100 * kMebibyte, 1, view.processes[0].allowed};
      const auto placed = place(policy, view, job, state, random_of(seed));
      if (!placed) continue;
      const NodeLoad* target = find(view, placed->to);
      REQUIRE(target != nullptr);
      CHECK(target->reachable);
      CHECK((target->flags & 15) == 0);
      CHECK(target->feature_class >= 1);
      CHECK((job.allowed == nullptr || job.allowed->allows(placed->to)));
    }
  }
  CHECK(moves > 3000);
}

TEST_CASE("the order of nodes changes nothing, and explaining changes nothing") {
  for (uint64_t seed = 1; seed <= 1000; ++seed) {
    CAPTURE(seed);
    Maker maker(seed);
    View view = maker.view();
    for (const Policy policy : kMoving) {
      CAPTURE(name(policy));
      const std::string moves = moves_text(view, decided(policy, view, seed));
      const Decision why = decided(policy, view, seed, true);
      CHECK(moves_text(view, why) == moves);
      View mixed = view;
      std::shuffle(mixed.others.begin(), mixed.others.end(), std::mt19937_64(seed));
      CHECK(moves_text(mixed, decided(policy, mixed, seed)) == moves);
      for (const Move& move : why.moves)
        if (move.cause != Cause::kMemory && policy == Policy::kFlow)
          CHECK(said(view, why, view.processes[move.process].id.pid,
                     static_cast<uint64_t>(move.to)) == Against::kNothing);
    }
  }
}

// Two nodes between which load swings so that the other one always looks empty.
TEST_CASE("a minute has no more moves than the backoff allows") {
  for (const double age : {1.0, 10.0, 100.0}) {
    std::vector<double> moved;
    double last = -1e9;
    for (double now = 0; now < 600; now += 0.5) {
      View view = crowd(3, {node_of(2, 0)});
      view.processes.resize(1);
      ProcessLoad& process = view.processes[0];
      process.cpu_age_s = age;
      process.since_arrival_s = now - last;
      process.last_move_s = 0.125;
      process.recent_moves = static_cast<double>(
          std::count_if(moved.begin(), moved.end(), [&](double when) { return now - when < 60; }));
      // phi: 9 - 4 there, 1 here: it gains 4 a unit; the move costs 0.163.
      const double allowed = 1 + std::floor(std::log(age * 4 / 0.163) / std::log(1.5));
      REQUIRE(process.recent_moves <= allowed);
      if (decided(Policy::kFlow, view).moves.empty()) continue;
      moved.push_back(now);
      last = now;
    }
    CHECK(moved.size() > 5);
  }
}

TEST_CASE("equal nodes with equal load: no move in an hour") {
  const Machine pair{2, 2, 1};
  Maker maker(5);
  for (double now = 0; now < 3600; now += 0.5) {
    // Samples of the last second are off by a quarter of a thread, and entries are old.
    std::vector<NodeLoad> others;
    for (uint64_t id = 2; id <= 8; ++id) {
      others.push_back(node_of(id, 2.75 + maker.real(0.5), pair));
      others.back().age_s = maker.real(8);
    }
    View view = crowd(3, others);
    view.self = node_of(1, 2.75 + maker.real(0.5), pair);
    for (ProcessLoad& process : view.processes) process.cpu_age_s = now;
    REQUIRE(decided(Policy::kFlow, view).moves.empty());
  }
}

}  // namespace
}  // namespace om::balance
