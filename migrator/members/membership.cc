// SPDX-License-Identifier: Apache-2.0
#include "migrator/members/membership.h"

#include <algorithm>
#include <utility>

namespace om::members {

namespace {

constexpr Milliseconds kSweepEvery{60000};

RumourKind kind_of(State state) {
  switch (state) {
    case State::kAlive:
      return kAlive;
    case State::kSuspected:
      return kSuspected;
    case State::kDown:
      return kDown;
    case State::kLeft:
      return kLeft;
  }
  __builtin_unreachable();
}

}  // namespace

Membership::Membership(Settings settings, RecordPool& pool, Random random, const NodeRecord& self,
                       uint64_t incarnation, MonotonicTime now)
    : settings_(std::move(settings)),
      random_(std::move(random)),
      self_(self),
      incarnation_(incarnation),
      table_(pool),
      sequence_(static_cast<uint32_t>(random_())) {
  const auto phase = [&](Milliseconds of) {
    return Milliseconds(static_cast<int64_t>(random_() % static_cast<uint64_t>(of.count())));
  };
  due_ = {now + phase(settings_.timing.period), now + phase(settings_.timing.gossip),
          now + kSweepEvery, now};
  self_.stated = incarnation_;
  rumours_.put(joined(self_, incarnation_));
}

std::vector<Rumour> Membership::snapshot() const {
  std::vector<Rumour> all;
  for (const auto& [node, entry] : denied_) all.push_back({kDenied, node, 0, {}, entry});
  if (standing_ == Standing::kMember) all.push_back(joined(self_, incarnation_));
  for (const Member& member : table_.all()) {
    all.push_back(joined(*member.record, member.incarnation));
    if (member.state() != State::kAlive)
      all.push_back({kind_of(member.state()), member.id(), member.incarnation});
  }
  return all;
}

void Membership::merge(MonotonicTime now, std::span<const Rumour> rumours) {
  table_.reserve(std::min(rumours.size(), settings_.most_members));
  for (const Rumour& rumour : rumours) hear(now, rumour, self_.id, false);
}

Result<void> Membership::receive(MonotonicTime now, NodeId from, std::string_view bytes) {
  if (from == self_.id) return plain_error("a datagram of this node");
  if (denied(from)) return plain_error("a datagram of a denied node");
  const Datagram datagram = OM_TRY(decode_datagram(bytes));
  if (const Member* sender = find(from)) {
    if (sender->incarnation < datagram.incarnation &&
        !is_news(*sender, State::kAlive, datagram.incarnation))
      return plain_error("a datagram of an impossible incarnation");
  }
  for (const Rumour& rumour : datagram.rumours) hear(now, rumour, from, true);
  hear(now, {kAlive, from, datagram.incarnation}, from, true);
  if (!denied(from)) answer(now, from, datagram);
  return {};
}

void Membership::answer(MonotonicTime now, NodeId from, const Datagram& datagram) {
  switch (datagram.kind) {
    case DatagramKind::kPing:
      send(from, DatagramKind::kAck, datagram.sequence, self_.id);
      break;
    case DatagramKind::kPingRequest:
      if (datagram.target == self_.id) {
        send(from, DatagramKind::kAck, datagram.sequence, self_.id);
      } else if (find(datagram.target) != nullptr) {
        relays_.add(
            {++sequence_, datagram.target, from, datagram.sequence, now + settings_.timing.period});
        send(datagram.target, DatagramKind::kPing, sequence_, datagram.target);
      }
      break;
    case DatagramKind::kAck:
      if (probes_.answered(datagram.sequence, datagram.target) && tcp_only_.heard(datagram.target))
        out_.changes.push_back({ChangeKind::kDatagrams, datagram.target});
      if (const auto relay = relays_.answered(datagram.sequence, from))
        send(relay->asker, DatagramKind::kAck, relay->asked_as, relay->target);
      break;
    case DatagramKind::kGossip:
      break;
  }
}

// The other side learns first what is said of it, so that it can object; a stranger is asked who it is.
void Membership::send(NodeId to, DatagramKind kind, uint32_t sequence, NodeId target) {
  std::string bytes = encode_header({kind, sequence, incarnation_, target});
  const Member* member = find(to);
  if (member == nullptr) {
    append_rumour(bytes, {kAsked, to});
  } else if (member->state() != State::kAlive) {
    append_rumour(bytes, {kind_of(member->state()), to, member->incarnation});
  }
  rumours_.fill(bytes, kMaxDatagramBytes, budget());
  out_.sends.push_back({to, std::move(bytes)});
}

void Membership::tick(MonotonicTime now) {
  const Timing& timing = settings_.timing;
  const MonotonicTime last = std::exchange(due_.last_tick, now);
  if (now - last > timing.pause) {
    // Answers were lost meanwhile, or wait to be read.
    probes_.clear();
    suspicions_.postpone(std::chrono::duration_cast<Milliseconds>(now - last));
  }
  if (now >= due_.ping) {
    due_.ping = std::max(due_.ping, now - timing.period) + timing.period;
    if (standing_ == Standing::kMember) ping_next(now);
  }
  while (const auto probe = probes_.to_ask(now)) ask_others(*probe);
  while (const auto target = probes_.failed(now)) suspect(now, *target);
  for (const NodeId node : suspicions_.due(now, timing.dial_again)) {
    if (standing_ == Standing::kMember) out_.dials.push_back({node, find(node)->incarnation});
  }
  if (now >= due_.gossip) {
    due_.gossip = now + timing.gossip;
    const auto to = rumours_.empty() ? std::nullopt : table_.any(random_);
    if (to) send(*to, DatagramKind::kGossip, 0, self_.id);
  }
  if (now >= due_.sweep) {
    due_.sweep = now + kSweepEvery;
    table_.forget(now - timing.forget_down, now - timing.forget_left);
    relays_.expire(now);
  }
}

MonotonicTime Membership::next_wake() const {
  return std::min({due_.ping, due_.sweep, rumours_.empty() ? MonotonicTime::max() : due_.gossip,
                   probes_.next(), suspicions_.next()});
}

void Membership::ping_next(MonotonicTime now) {
  const Timing& timing = settings_.timing;
  relays_.expire(now);
  if (++pings_ % timing.knock_every == 0) {
    if (const auto down = table_.any_down(random_))
      send(*down, DatagramKind::kPing, ++sequence_, *down);
  }
  const auto target = table_.in_turn(random_);
  if (!target) return;
  probes_.add(++sequence_, *target, now + timing.ask_after, now + timing.suspect_after);
  send(*target, DatagramKind::kPing, sequence_, *target);
}

void Membership::ask_others(const Probes::Unanswered& probe) {
  std::vector<NodeId> asked;
  for (unsigned tries = 0;
       tries < 2 * settings_.timing.helpers && asked.size() < settings_.timing.helpers; ++tries) {
    const auto helper = table_.any(random_, probe.target);
    if (!helper || std::find(asked.begin(), asked.end(), *helper) != asked.end()) continue;
    asked.push_back(*helper);
    send(*helper, DatagramKind::kPingRequest, probe.sequence, probe.target);
  }
}

void Membership::leave(MonotonicTime now) {
  if (standing_ != Standing::kMember) return;
  standing_ = Standing::kLeft;
  probes_.clear();
  due_.gossip = now + settings_.timing.gossip;
  say(kLeft, self_.id, incarnation_);
  for (unsigned left = budget(); left > 1; --left) {
    if (const auto to = table_.any(random_)) send(*to, DatagramKind::kGossip, 0, self_.id);
  }
}

Footprint Membership::footprint() const {
  return {table_.all().size(), rumours_.size(),  probes_.size(), relays_.size(),
          suspicions_.size(),  tcp_only_.size(), denied_.size()};
}

}  // namespace om::members
