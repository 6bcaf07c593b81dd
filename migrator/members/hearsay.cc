// SPDX-License-Identifier: Apache-2.0
//
// The part of Membership that decides what to believe: rumours about others, rumours about this node, outcomes of
// dials. Everything heard comes from a member, who may lie: it may cost a dial or an objection, never memory without
// end.
#include "migrator/members/membership.h"

#include <algorithm>

namespace om::members {
namespace {

// A node restarts with the time in seconds as its incarnation, and raises it by one with each objection; a rumour that
// is further ahead is a lie, which would leave the node no incarnation to object with.
constexpr uint64_t kMostAhead = uint64_t{1} << 32;

ChangeKind change_of(State before, State after) {
  switch (after) {
    case State::kAlive:
      return before == State::kLeft ? ChangeKind::kJoined : ChangeKind::kUp;
    case State::kSuspected:
      return ChangeKind::kSuspected;
    case State::kDown:
      return ChangeKind::kDown;
    case State::kLeft:
      return ChangeKind::kLeft;
  }
  __builtin_unreachable();
}

}  // namespace

void Membership::hear(MonotonicTime now, const Rumour& rumour, NodeId from, bool pass_on) {
  if (rumour.kind == kDenied) {
    static_cast<void>(deny(rumour.node, rumour.body));
    return;
  }
  if (denied(rumour.node)) return;
  if (rumour.kind == 0 || rumour.kind > kAsked) {
    if (pass_on) rumours_.pass_on(rumour);
    return;
  }
  if (rumour.node == self_.id) {
    hear_of_self(rumour, from);
    return;
  }
  if (rumour.kind == kJoined) {
    hear_joined(now, rumour, pass_on);
    return;
  }
  const Member* member = find(rumour.node);
  if (member == nullptr || rumour.kind == kAsked) return;
  State state = State::kAlive;
  if (rumour.kind == kSuspected) state = State::kSuspected;
  if (rumour.kind == kDown) state = State::kDown;
  if (rumour.kind == kLeft) state = State::kLeft;
  if (is_news(*member, state, rumour.incarnation))
    believe(now, rumour.node, state, rumour.incarnation, pass_on);
}

void Membership::hear_joined(MonotonicTime now, const Rumour& rumour, bool pass_on) {
  if (!rumour.record || rumour.record->id != rumour.node) return;
  if (const Member* member = find(rumour.node)) {
    const bool newer = is_news(*member, State::kAlive, rumour.incarnation);
    const bool stated_later = rumour.record->stated > member->record->stated &&
                              (newer || rumour.incarnation == member->incarnation);
    if (!newer && !stated_later) return;
    if (stated_later) table_.set_record(rumour.node, *rumour.record);
    const size_t changes = out_.changes.size();
    if (newer) believe(now, rumour.node, State::kAlive, rumour.incarnation, false);
    if (stated_later && out_.changes.size() == changes)
      out_.changes.push_back({ChangeKind::kRestated, rumour.node});
  } else {
    if (rumour.incarnation > kMaxIncarnation - kMostAhead) return;
    if (table_.all().size() >= settings_.most_members && !table_.forget_one()) return;
    table_.add(*rumour.record, rumour.incarnation);
    out_.changes.push_back({ChangeKind::kJoined, rumour.node});
  }
  if (pass_on) rumours_.put(rumour);
}

bool Membership::is_news(const Member& member, State state, uint64_t incarnation) const {
  if (incarnation == member.incarnation) return state > member.state();
  return incarnation > member.incarnation && incarnation - member.incarnation < kMostAhead &&
         incarnation < kMaxIncarnation;
}

// Exactly one change for a change of state, none for a new incarnation alone.
void Membership::believe(MonotonicTime now, NodeId node, State state, uint64_t incarnation,
                         bool pass_on) {
  const State before = find(node)->state();
  table_.set(now, node, state, incarnation);
  if (state == State::kSuspected) {
    const uint64_t wait = static_cast<uint64_t>(settings_.timing.others_wait.count());
    suspicions_.add(node, now + Milliseconds(static_cast<int64_t>(wait + random_() % wait)));
  } else {
    suspicions_.withdraw(node);
  }
  if (state == State::kDown || state == State::kLeft) tcp_only_.forget(node);
  if (before != state) out_.changes.push_back({change_of(before, state), node});
  if (!pass_on) return;
  if (state == State::kAlive) say(kAlive, node, incarnation);
  if (state == State::kSuspected) say(kSuspected, node, incarnation);
  if (state == State::kDown) {
    say(kDown, node, incarnation);
    due_.gossip = std::min(due_.gossip, now);
  }
  if (state == State::kLeft) say(kLeft, node, incarnation);
}

// A ping of this node has failed, directly and through others. The suspect is told at once: it has a second to object.
void Membership::suspect(MonotonicTime now, NodeId node) {
  const Member* member = find(node);
  if (member == nullptr || member->state() != State::kAlive || standing_ != Standing::kMember)
    return;
  if (tcp_only_.has(node)) {
    if (tcp_only_.due(node, now)) out_.dials.push_back({node, 0});
    return;
  }
  believe(now, node, State::kSuspected, member->incarnation, true);
  suspicions_.add(node, now + settings_.timing.suspicion);
  send(node, DatagramKind::kPing, ++sequence_, node);
}

void Membership::dialled(MonotonicTime now, NodeId node, std::optional<uint64_t> incarnation) {
  const Member* member = find(node);
  if (member == nullptr) return;
  if (member->state() == State::kAlive && !incarnation && tcp_only_.has(node)) {
    // Nothing reaches it any more.
    tcp_only_.forget(node);
    suspect(now, node);
    return;
  }
  if (member->state() != State::kSuspected) return;
  if (incarnation && tcp_only_.reached(node, now))
    out_.changes.push_back({ChangeKind::kTcpOnly, node});
  if (!incarnation) {
    believe(now, node, State::kDown, member->incarnation, true);
    // A head start: until several know, news travels slowly.
    for (unsigned i = 0; i < settings_.timing.helpers; ++i) {
      if (const auto to = table_.any(random_)) send(*to, DatagramKind::kGossip, 0, self_.id);
    }
  } else if (is_news(*member, State::kAlive, *incarnation)) {
    believe(now, node, State::kAlive, *incarnation, true);
  } else {
    // It answers, but has not heard of the suspicion: true for this node, and nothing to tell others.
    believe(now, node, State::kAlive, member->incarnation, false);
  }
}

uint64_t Membership::accused(uint64_t incarnation) {
  if (standing_ == Standing::kMember) object(incarnation);
  return incarnation_;
}

void Membership::hear_of_self(const Rumour& rumour, NodeId from) {
  if (standing_ != Standing::kMember) return;
  switch (rumour.kind) {
    case kAsked:
      if (!rumours_.has_record_of(self_.id)) rumours_.put(joined(self_, incarnation_));
      break;
    case kJoined:
    case kAlive:
      // Of a life before the restart. The record of this one is to count.
      if (rumour.incarnation <= incarnation_) break;
      object(rumour.incarnation);
      self_.stated = incarnation_;
      rumours_.put(joined(self_, incarnation_));
      break;
    default:
      if (rumour.kind == kDown && rumour.incarnation >= incarnation_ && from != self_.id) {
        out_.syncs.push_back(from);
      }
      object(rumour.incarnation);
      break;
  }
}

// The record goes along as long as it is news itself.
void Membership::object(uint64_t incarnation) {
  if (incarnation < incarnation_ || incarnation - incarnation_ >= kMostAhead ||
      incarnation >= kMaxIncarnation - 1)
    return;
  incarnation_ = incarnation + 1;
  if (rumours_.has_record_of(self_.id)) rumours_.put(joined(self_, incarnation_));
  say(kAlive, self_.id, incarnation_);
}

void Membership::restate(uint64_t features) {
  if (features == self_.features || standing_ != Standing::kMember ||
      incarnation_ >= kMaxIncarnation - 1)
    return;
  self_.features = features;
  self_.stated = ++incarnation_;
  rumours_.put(joined(self_, incarnation_));
}

void Membership::say(RumourKind kind, NodeId node, uint64_t incarnation) {
  rumours_.put({kind, node, incarnation});
}

bool Membership::deny(NodeId node, std::string_view entry) {
  if (denied(node) || denied_.size() >= kMaxDenied || entry.size() > kMaxRumourBody)
    return denied(node);
  if (!settings_.verify_deny || !settings_.verify_deny(node, entry)) return false;
  denied_.emplace(node, entry);
  if (node == self_.id) standing_ = Standing::kDenied;
  if (find(node) != nullptr) table_.remove(node);
  suspicions_.withdraw(node);
  tcp_only_.forget(node);
  out_.changes.push_back({ChangeKind::kDenied, node});
  rumours_.put({kDenied, node, 0, {}, std::string(entry)});
  return true;
}

}  // namespace om::members
