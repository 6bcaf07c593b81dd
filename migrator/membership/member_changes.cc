// SPDX-License-Identifier: Apache-2.0
//
// The part of NodeMembership that decides what follows from a change: an event, a state of a peer, a line in the book
// of members.
#include <utility>

#include "migrator/membership/member_peers.h"
#include "migrator/membership/node_membership.h"

namespace om::migrator {
namespace {

// While there are members to dial. Longer than facts count as fresh, all tries together.
constexpr Milliseconds kMeetEvery{150};
constexpr int kMeetAtOnce = 8, kMeetTries = 20;

}  // namespace

bool NodeMembership::verify(NodeId node, std::string_view bytes) {
  if (!verifier_ || bytes.size() > kMaxDenyBytes) return false;
  auto entry = verifier_->verify(bytes);
  if (!entry || entry->node != node) return false;
  if (!local_.cluster.denies(node)) denied_.push_back(std::move(entry->bytes));
  return true;
}

void NodeMembership::take_denied() {
  const auto entries = std::exchange(denied_, {});
  if (!entries.empty()) local_.cluster.take_denied(entries, "the membership");
}

void NodeMembership::event(const char* kind, const members::MemberView& member,
                           const std::string& text) {
  local_.cluster.local().event(kind, member.name, text);
}

void NodeMembership::meet(const members::MemberView& member) {
  if (member.state == members::State::kLeft) return;
  const bool before = met_before_.erase(member.id) > 0;
  learn(member, !before);
  // A node that starts in a large cluster has better things to tell.
  if (before && few_ && member.state != members::State::kDown) event("up", member, "is up");
}

bool NodeMembership::is_met(const members::MemberView& member) const {
  const KnownMember* met = local_.cluster.members()->find(member.id);
  return met != nullptr && *met == known(member);
}

// Those that are dialled become an event, and are written down, when they have shown their certificate.
void NodeMembership::learn(const members::MemberView& member, bool joined) {
  local_.cluster.local().members_changed();
  if (is_met(member)) return;
  const MemberBook& book = *local_.cluster.members();
  const bool in_book = book.find(member.id) != nullptr;
  const bool wanted =
      in_book || book.all().size() < kEnoughMet || (member.features & kMaySign) != 0;
  if (wanted && to_meet_.size() < kMostToMeet) {
    to_meet_[member.id] = 0;
    if (to_meet_.size() == 1) meeting_.start(kMeetEvery, [this] { meet_some(); });
  } else if (joined && !in_book) {
    event("joined", member, "is a member, at " + known(member).address);
  }
}

void NodeMembership::meet_some() {
  int turns = kMeetAtOnce;
  for (auto at = to_meet_.begin(); at != to_meet_.end() && turns > 0;) {
    const auto member = running() ? engine_->find(at->first) : std::nullopt;
    if (!member || !is_present(*member) || is_met(*member) || ++at->second > kMeetTries) {
      at = to_meet_.erase(at);
      continue;
    }
    --turns;
    local_.peers.refresh(member->name, [] {});
    ++at;
  }
  if (!to_meet_.empty()) meeting_.start(kMeetEvery, [this] { meet_some(); });
}

void NodeMembership::on_change(members::ChangeKind kind, const members::MemberView& member) {
  using members::ChangeKind;
  if (kind == ChangeKind::kDenied) return take_denied();
  // What was said of it before is of no interest: it was removed, or forgotten to make room, in the same breath.
  if (member.addresses.empty()) return;
  PeerLink* link = local_.peers.find(member.name);
  if (link != nullptr && (!link->peer().on_demand || !listens_at(member, link->peer().address)))
    link = nullptr;
  switch (kind) {
    case ChangeKind::kJoined:
      meet(member);
      if (link != nullptr) show(*link, member);  // it was met before
      break;
    case ChangeKind::kUp:
      event("up", member, "is up");
      learn(member, false);
      if (link != nullptr) show(*link, member);
      break;
    case ChangeKind::kRestated:
      learn(member, false);
      break;
    case ChangeKind::kSuspected:
      event("suspected", member, "does not answer");
      break;
    case ChangeKind::kDown:
      met_before_.erase(member.id);
      if (link != nullptr) link->hold(false, "");
      event("down", member, link != nullptr ? link->reason() : "does not answer");
      break;
    case ChangeKind::kLeft:
      local_.cluster.left(member.id);
      local_.cluster.local().members_changed();
      break;
    case ChangeKind::kTcpOnly:
      event("tcp_only", member,
            "answers on its TCP port and to no datagram; is the UDP port of the same number open, "
            "here and there?");
      break;
    case ChangeKind::kDatagrams:
      event("datagrams", member, "answers to datagrams again");
      break;
    case ChangeKind::kDenied:
      break;
  }
}

}  // namespace om::migrator
