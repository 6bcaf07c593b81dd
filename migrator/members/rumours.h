// SPDX-License-Identifier: Apache-2.0
//
// The rumours that a node still passes on. Each rides on as many datagrams as its budget says, those that have been
// sent least go first. At most kMaxRumours are kept, with a place of their own for records and for the kinds that this
// version does not know; those may fill a quarter of a datagram.
#pragma once

#include <stdint.h>

#include <string>
#include <vector>

#include "migrator/members/datagram.h"

namespace om::members {

constexpr size_t kMaxRumours = 1024;
constexpr size_t kMaxUnknownRumours = 64;
constexpr size_t kRememberedRumours = 256;
constexpr size_t kUnknownBytes = kMaxDatagramBytes / 4;

// How often a rumour is sent in a cluster of `nodes` (at least 1): 3 log2 n, rounded up.
unsigned rumour_budget(size_t nodes);

class RumourQueue {
 public:
  // Passes a rumour of a known kind on, instead of an earlier one about the same node. A record stays beside what is
  // said of the node until that is worse than suspected. If the queue is full, what was sent most often goes.
  void put(const Rumour& rumour);
  // The same for an unknown kind; once, as long as it is among the last kRememberedRumours.
  void pass_on(const Rumour& rumour);
  bool has_record_of(NodeId node) const;

  // Appends what fits into a datagram of `most` bytes; counts it, and forgets what was sent `budget` times.
  void fill(std::string& bytes, size_t most, unsigned budget);

  bool empty() const { return known_.empty() && unknown_.empty(); }
  size_t size() const { return known_.size() + unknown_.size(); }

 private:
  struct Item {
    NodeId node{};
    uint8_t kind = 0;
    unsigned sent = 0;
    std::string bytes;
  };

  static void append_from(std::vector<Item>& items, std::string& bytes, size_t most,
                          unsigned budget);

  std::vector<Item> known_;
  std::vector<Item> unknown_;
  std::vector<uint64_t> passed_on_;  // hashes, a ring
  size_t oldest_ = 0;                // in passed_on_
};

}  // namespace om::members
