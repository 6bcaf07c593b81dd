// SPDX-License-Identifier: Apache-2.0
//
// A simulated network of members: the shipped state machines, driven event by event. Datagrams are lost, late, doubled
// and overtaken as the Weather says; nodes are killed, frozen and divided. Used by bench/member_sim.cc and by the unit
// test of the membership. Everything follows from the seed.
#pragma once

#include <stdint.h>

#include <functional>
#include <memory>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "migrator/members/membership.h"

namespace om::members {

struct Weather {
  double loss = 0;              // of each datagram, 0..1
  double twice = 0;             // share that arrives twice
  Milliseconds least_delay{1};  // uniform between the two: datagrams overtake each other
  Milliseconds most_delay{5};
  Milliseconds dial_limit{1000};  // a dial of a silent node takes this long
};

class MemberNetwork {
 public:
  using OnChange = std::function<void(size_t observer, size_t node, ChangeKind kind)>;

  MemberNetwork(Weather weather, uint64_t seed, Settings settings = {});

  // Adds a node that knows nobody; the nodes are numbered from 0.
  size_t add();
  // Node `joiner` takes over what `contact` knows, as a joining node does, and all at once.
  void introduce(size_t joiner, size_t contact);
  // All nodes know all others.
  void introduce_all();

  void kill(size_t node) { at(node).up = false; }
  // A killed node starts again, knowing nobody.
  void restart(size_t node, uint64_t incarnation);
  // A frozen node does nothing; what arrives is lost.
  void freeze(size_t node, bool frozen) { at(node).frozen = frozen; }
  // Nodes of different groups do not reach each other. At first all are in group 0.
  void place(size_t node, int group) { at(node).group = group; }
  void leave(size_t node);

  void run_for(Milliseconds time);
  // Until `done`, asked after each event that changed something; false after `limit`.
  bool run_until(const std::function<bool()>& done, Milliseconds limit);

  size_t size() const { return nodes_.size(); }
  bool up(size_t node) const { return nodes_[node].up; }
  NodeId id(size_t node) const { return nodes_[node].id; }
  Membership& member(size_t node) { return *nodes_[node].machine; }
  MonotonicTime now() const { return now_; }
  uint64_t random() { return random_(); }
  // Carries out what a node that was called directly has put out.
  void settle(size_t node);

  OnChange on_change;
  Weather weather;
  uint64_t datagrams = 0;
  uint64_t bytes = 0;  // with what seal, UDP and IP add
  uint64_t dials = 0;

 private:
  enum class Kind : uint8_t { kWake, kDatagram, kDialled };
  struct Event {
    MonotonicTime when;
    uint64_t order = 0;
    Kind kind{};
    uint32_t node = 0;  // to whom it happens
    uint32_t other = 0;
    uint64_t incarnation = 0;  // of a Dial
    std::string bytes;
  };
  struct Node {
    NodeId id{};
    std::unique_ptr<Membership> machine;
    MonotonicTime wake = MonotonicTime::max();
    bool up = true;
    bool frozen = false;
    int group = 0;
  };

  Node& at(size_t node) { return nodes_[node]; }
  bool reaches(size_t from, size_t to) const;
  void transmit(size_t from, Send& send);
  void push(Event event);
  void happen(Event& event);
  void finish_dial(const Event& event);
  NodeRecord record_of(size_t node) const;
  std::unique_ptr<Membership> machine_of(size_t node, uint64_t incarnation);

  Settings settings_;
  std::mt19937_64 random_;
  RecordPool pool_;
  MonotonicTime now_{std::chrono::hours(1)};
  uint64_t order_ = 0;
  bool changed_ = false;
  std::vector<Event> events_;  // a heap
  std::vector<Node> nodes_;
  std::unordered_map<uint64_t, size_t> numbers_;  // by id
};

}  // namespace om::members
