// SPDX-License-Identifier: Apache-2.0
//
// What one node believes of each other one: 16 bytes a member, sorted by id, plus the time since when for those that
// are down or have left. Also chooses whom to ping: in turn, in an order of its own, or at random.
#pragma once

#include <stdint.h>

#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "common/base/clock.h"
#include "migrator/members/node_record.h"

namespace om::members {

using Random = std::function<uint64_t()>;

// In the order in which one overrules another of the same incarnation.
enum class State : uint8_t { kAlive, kSuspected, kDown, kLeft };

struct Member {
  const NodeRecord* record = nullptr;
  uint64_t incarnation : 48 = 0;
  uint64_t state_bits : 16 = 0;

  NodeId id() const { return record->id; }
  State state() const { return static_cast<State>(state_bits); }
  // Counted among the members that are pinged.
  bool present() const { return state() == State::kAlive || state() == State::kSuspected; }
};

class MemberTable {
 public:
  explicit MemberTable(RecordPool& pool) : pool_(pool) {}
  ~MemberTable();
  MemberTable(const MemberTable&) = delete;
  MemberTable& operator=(const MemberTable&) = delete;

  const Member* find(NodeId id) const;
  const std::vector<Member>& all() const { return members_; }
  size_t present() const { return present_; }  // alive or suspected

  // Makes room for `more` members at once.
  void reserve(size_t more) { members_.reserve(members_.size() + more); }
  // Adds an alive member. Preconditions: not there yet.
  void add(const NodeRecord& record, uint64_t incarnation);
  // Preconditions for both: there.
  void set(MonotonicTime now, NodeId id, State state, uint64_t incarnation);
  void set_record(NodeId id, const NodeRecord& record);
  void remove(NodeId id);

  // Removes members that have been down since `down_before` or have left before `left_before`.
  void forget(MonotonicTime down_before, MonotonicTime left_before);
  // Removes a member that is down or has left, to make room; false if there is none.
  bool forget_one();

  // The next member that is present; each comes once in a round. Nothing if there is none.
  std::optional<NodeId> in_turn(const Random& random);
  // A member that is present, but none of two. Nothing if there is no other.
  std::optional<NodeId> any(const Random& random, std::optional<NodeId> except = {},
                            std::optional<NodeId> nor = {}) const;
  // A member that is down.
  std::optional<NodeId> any_down(const Random& random) const;

 private:
  size_t place_of(NodeId id) const;  // where it is or would be

  RecordPool& pool_;
  std::vector<Member> members_;
  size_t present_ = 0;
  std::map<NodeId, MonotonicTime> absent_;  // down or left, since when
  size_t cursor_ = 0;                       // of in_turn()
  size_t stride_ = 0;                       // has no divisor in common with round_
  size_t round_ = 0;                        // the number of members that stride_ was chosen for
};

}  // namespace om::members
