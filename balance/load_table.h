// SPDX-License-Identifier: Apache-2.0
//
// What one node knows of the loads of others: its own entry and the newest of at most kKept others, whatever the size
// of the cluster. Every interval, and when its own load has changed by half a process, it tells one member, chosen at
// random by the caller, its own entry and the kWindow - 1 newest that it knows. So the cost of a node is constant, and
// the mean age of what it knows, too (docs/BALANCING.md). Pure: times are seconds of any clock that does not go back.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <string>
#include <string_view>
#include <vector>

#include "balance/load_entry.h"

namespace om::balance {

class LoadTable {
 public:
  static constexpr size_t kKept = 128;
  static constexpr size_t kWindow = kMaxLoadEntries;
  static constexpr double kInterval = 0.5;       // seconds between two messages
  static constexpr double kLeastInterval = 0.1;  // also when the load jumps
  static constexpr double kNewsThreads = 0.5;    // a change that is told at once
  static constexpr double kForget = 60;  // seconds: older entries are neither kept nor passed on

  struct Known {
    LoadEntry entry;    // its age is not used
    double made_s = 0;  // when it was true, by the own clock
    // What this node has sent there since.
    double expected_threads = 0;
    double expected_bytes = 0;
  };

  // `incarnation`: as in the membership, higher than at the last start.
  LoadTable(NodeId self, uint64_t incarnation, size_t kept = kKept, size_t window = kWindow);

  // The own state: everything in `entry` but node, incarnation, sequence and age.
  void set_own(const LoadEntry& entry);
  const LoadEntry& own() const { return own_; }
  // When to tell() next: not before this.
  double due_s(double now_s) const;
  // The message to one member.
  std::string tell(double now_s);
  // The own entry as of now, for an answer to one node.
  const LoadEntry& state();

  // What another node has told. An Error if it is malformed; it changes nothing then. What others say about this node
  // is left out.
  Result<void> hear(double now_s, std::string_view bytes);
  // One entry from the node itself, as it comes with an answer; `age_s` of it counts.
  void learn(double now_s, const LoadEntry& entry);
  // This node has sent so much there: counts until a newer entry comes.
  void expect(NodeId node, double threads, double bytes);
  // The node is down or has left.
  void forget(NodeId node);

  const std::vector<Known>& known() const { return known_; }
  const Known* find(NodeId node) const;

 private:
  Known* place_of(NodeId node);
  size_t oldest() const;
  void remove(size_t place);

  size_t kept_;
  size_t window_;
  LoadEntry own_;
  double told_s_ = -1e18;
  double told_k_ = 0;
  std::vector<Known> known_;      // in no order
  std::vector<double> made_;      // of the same places, as all entries are looked at for the oldest
  std::vector<uint64_t> ids_;     // of the same places: searched more often than anything else
  std::vector<LoadEntry> heard_;  // space for hear()
  std::vector<uint32_t> order_;   // space for tell()
};

}  // namespace om::balance
