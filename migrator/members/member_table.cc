// SPDX-License-Identifier: Apache-2.0
#include "migrator/members/member_table.h"

#include <algorithm>
#include <numeric>

#include "common/base/assert.h"

namespace om::members {

static_assert(sizeof(Member) == 16);

MemberTable::~MemberTable() {
  for (const Member& member : members_) pool_.drop(member.record);
}

size_t MemberTable::place_of(NodeId id) const {
  if (members_.empty() || members_.back().id() < id) return members_.size();
  const auto at = std::partition_point(members_.begin(), members_.end(),
                                       [&](const Member& member) { return member.id() < id; });
  return static_cast<size_t>(at - members_.begin());
}

const Member* MemberTable::find(NodeId id) const {
  const size_t at = place_of(id);
  return at < members_.size() && members_[at].id() == id ? &members_[at] : nullptr;
}

void MemberTable::add(const NodeRecord& record, uint64_t incarnation) {
  const size_t at = place_of(record.id);
  OM_ASSERT(at == members_.size() || members_[at].id() != record.id);
  Member member;
  member.record = pool_.take(record);
  member.incarnation = incarnation;
  members_.insert(members_.begin() + static_cast<ptrdiff_t>(at), member);
  ++present_;
}

void MemberTable::set(MonotonicTime now, NodeId id, State state, uint64_t incarnation) {
  Member& member = members_.at(place_of(id));
  OM_ASSERT(member.id() == id);
  present_ -= member.present();
  if (member.state() != state) absent_.erase(id);
  member.incarnation = incarnation;
  member.state_bits = static_cast<uint16_t>(state);
  present_ += member.present();
  if (!member.present()) absent_.try_emplace(id, now);
}

void MemberTable::set_record(NodeId id, const NodeRecord& record) {
  Member& member = members_.at(place_of(id));
  OM_ASSERT(member.id() == id);
  const NodeRecord* old = member.record;
  member.record = pool_.take(record);
  pool_.drop(old);
}

void MemberTable::remove(NodeId id) {
  const size_t at = place_of(id);
  OM_ASSERT(at < members_.size() && members_[at].id() == id);
  present_ -= members_[at].present();
  pool_.drop(members_[at].record);
  members_.erase(members_.begin() + static_cast<ptrdiff_t>(at));
  absent_.erase(id);
}

void MemberTable::forget(MonotonicTime down_before, MonotonicTime left_before) {
  std::vector<NodeId> old;
  for (const auto& [id, since] : absent_) {
    const Member* member = find(id);
    if (since < (member->state() == State::kLeft ? left_before : down_before)) old.push_back(id);
  }
  for (const NodeId id : old) remove(id);
}

bool MemberTable::forget_one() {
  if (absent_.empty()) return false;
  const auto oldest =
      std::min_element(absent_.begin(), absent_.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  remove(oldest->first);
  return true;
}

std::optional<NodeId> MemberTable::in_turn(const Random& random) {
  const size_t count = members_.size();
  if (count == 0 || present_ == 0) return {};
  if (round_ != count) {
    round_ = count;
    cursor_ = random() % count;
    do {
      stride_ = 1 + random() % count;
    } while (std::gcd(stride_, count) != 1);
  }
  do {
    cursor_ = (cursor_ + stride_) % count;
  } while (!members_[cursor_].present());
  return members_[cursor_].id();
}

std::optional<NodeId> MemberTable::any(const Random& random, std::optional<NodeId> except,
                                       std::optional<NodeId> nor) const {
  const size_t count = members_.size();
  if (present_ == 0) return {};
  // Tried at random, so that the neighbours of an absent member are not favoured; then one after the other.
  size_t at = random() % count;
  for (size_t tried = 0; tried < count + 8; ++tried) {
    const Member& member = members_[at];
    if (member.present() && except != member.id() && nor != member.id()) return member.id();
    at = tried < 8 ? random() % count : (at + 1) % count;
  }
  return {};
}

std::optional<NodeId> MemberTable::any_down(const Random& random) const {
  if (absent_.empty()) return {};
  auto at = absent_.lower_bound(NodeId{random()});
  if (at == absent_.end()) at = absent_.begin();
  if (find(at->first)->state() != State::kDown) return {};
  return at->first;
}

}  // namespace om::members
