// SPDX-License-Identifier: Apache-2.0
#include "migrator/etcd/member_map.h"

#include <algorithm>
#include <utility>

namespace om::etcd {
namespace {

using members::ChangeKind;
using members::MemberView;
using members::State;

bool says_the_same(const MemberView& a, const MemberView& b) {
  return a.name == b.name && a.number == b.number && a.addresses == b.addresses &&
         a.port == b.port && a.major == b.major && a.minor == b.minor && a.features == b.features;
}

bool is_absent(State state) { return state == State::kDown || state == State::kLeft; }

}  // namespace

void MemberMap::change(const Now& now, Known& known, State state, ChangeKind kind) {
  if (std::exchange(known.view.state, state) != state || kind == ChangeKind::kJoined) {
    known.view.since = now.wall;
    known.since = now.time;
  }
  changes_.push_back({kind, known.view});
}

void MemberMap::put(const Now& now, const NodeState& node) {
  const NodeId id = node.record.id;
  if (id == self_ || denied_.contains(id)) return;
  auto at = members_.find(id);
  if (at == members_.end()) {
    if (members_.size() >= most_ && !make_room()) return;
    at = members_.emplace(id, Known{members::view_of(node.record, State::kAlive, {})}).first;
    return change(now, at->second, node.left ? State::kLeft : State::kAlive,
                  node.left ? ChangeKind::kLeft : ChangeKind::kJoined);
  }
  Known& known = at->second;
  known.down_at.reset();
  const State before = known.view.state;
  if (node.left) {
    if (before != State::kLeft) change(now, known, State::kLeft, ChangeKind::kLeft);
    return;
  }
  MemberView next = members::view_of(node.record, State::kAlive, {});
  const bool same = says_the_same(known.view, next);
  next.state = before;
  next.since = known.view.since;
  known.view = std::move(next);
  if (before == State::kLeft) {
    change(now, known, State::kAlive, ChangeKind::kJoined);
  } else if (before == State::kDown) {
    change(now, known, State::kAlive, ChangeKind::kUp);
  } else if (!same) {
    change(now, known, State::kAlive, ChangeKind::kRestated);
  }
}

void MemberMap::gone(const Now& now, NodeId node, MonotonicTime down_at) {
  const auto at = members_.find(node);
  if (at == members_.end() || is_absent(at->second.view.state)) return;
  Known& known = at->second;
  if (!known.down_at) known.down_at = down_at;
  if (*known.down_at > now.time) return;
  known.down_at.reset();
  change(now, known, State::kDown, ChangeKind::kDown);
}

void MemberMap::keep(const Now& now, const std::set<NodeId>& present, MonotonicTime down_at) {
  for (const auto& [id, known] : members_) {
    if (!present.contains(id)) gone(now, id, down_at);
  }
}

void MemberMap::suspend() {
  for (auto& [id, known] : members_) known.down_at.reset();
}

void MemberMap::deny(const Now& now, NodeId node) {
  if (!denied_.insert(node).second) return;
  MemberView view{.id = node, .name = {}, .addresses = {}, .since = now.wall};
  if (const auto at = members_.find(node); at != members_.end()) {
    view = std::move(at->second.view);
    members_.erase(at);
  }
  changes_.push_back({ChangeKind::kDenied, std::move(view)});
}

void MemberMap::tick(const Now& now) {
  for (auto& [id, known] : members_) {
    if (known.down_at) gone(now, id, *known.down_at);
  }
  std::erase_if(members_, [&](const auto& item) {
    const State state = item.second.view.state;
    const auto age = now.time - item.second.since;
    return (state == State::kDown && age >= kForgetDown) ||
           (state == State::kLeft && age >= kForgetLeft);
  });
}

std::optional<MonotonicTime> MemberMap::next_wake() const {
  std::optional<MonotonicTime> next;
  for (const auto& [id, known] : members_) {
    if (known.down_at && (!next || *known.down_at < *next)) next = known.down_at;
  }
  return next;
}

// The one that has been away for longest.
bool MemberMap::make_room() {
  auto oldest = members_.end();
  for (auto at = members_.begin(); at != members_.end(); ++at) {
    if (is_absent(at->second.view.state) &&
        (oldest == members_.end() || at->second.since < oldest->second.since))
      oldest = at;
  }
  if (oldest == members_.end()) return false;
  members_.erase(oldest);
  return true;
}

std::vector<MemberView> MemberMap::all() const {
  std::vector<MemberView> views;
  for (const auto& [id, known] : members_) views.push_back(known.view);
  return views;
}

std::optional<MemberView> MemberMap::find(NodeId node) const {
  const auto at = members_.find(node);
  if (at == members_.end()) return std::nullopt;
  return at->second.view;
}

std::vector<MemberChange> MemberMap::take_changes() { return std::exchange(changes_, {}); }

}  // namespace om::etcd
