// SPDX-License-Identifier: Apache-2.0
#include "bench/member_network.h"

#include <algorithm>
#include <utility>

namespace om::members {
namespace {

constexpr uint64_t kAddedBytes = 20 + 8 + 48;  // IP, UDP, seal

// As ids are hashes, so are these.
NodeId id_of(size_t number) {
  uint64_t x = (number + 1) * 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return NodeId{x ^ (x >> 31)};
}

}  // namespace

MemberNetwork::MemberNetwork(Weather conditions, uint64_t seed, Settings settings)
    : weather(conditions), settings_(std::move(settings)), random_(seed) {}

NodeRecord MemberNetwork::record_of(size_t node) const {
  NodeRecord record;
  record.id = nodes_[node].id;
  record.name = "node-" + std::to_string(node);
  record.addresses = {v4_address(10, static_cast<uint8_t>(node >> 16),
                                 static_cast<uint8_t>(node >> 8), static_cast<uint8_t>(node))};
  record.port = 4700;
  record.major = 2;
  return record;
}

std::unique_ptr<Membership> MemberNetwork::machine_of(size_t node, uint64_t incarnation) {
  return std::make_unique<Membership>(
      settings_, pool_, [this] { return random_(); }, record_of(node), incarnation, now_);
}

size_t MemberNetwork::add() {
  const size_t node = nodes_.size();
  nodes_.push_back({.id = id_of(node)});
  numbers_[static_cast<uint64_t>(id_of(node))] = node;
  at(node).machine = machine_of(node, 1);
  settle(node);
  return node;
}

void MemberNetwork::introduce(size_t joiner, size_t contact) {
  member(joiner).merge(now_, member(contact).snapshot());
  settle(joiner);
}

void MemberNetwork::introduce_all() {
  std::vector<Rumour> all;
  for (const Node& node : nodes_)
    all.push_back(joined(node.machine->self(), node.machine->incarnation()));
  std::sort(all.begin(), all.end(),
            [](const Rumour& a, const Rumour& b) { return a.node < b.node; });
  for (size_t node = 0; node < nodes_.size(); ++node) {
    member(node).merge(now_, all);
    settle(node);
  }
}

void MemberNetwork::restart(size_t node, uint64_t incarnation) {
  at(node).machine = machine_of(node, incarnation);
  at(node).up = true;
  at(node).wake = MonotonicTime::max();
  settle(node);
}

void MemberNetwork::leave(size_t node) {
  member(node).leave(now_);
  settle(node);
}

bool MemberNetwork::reaches(size_t from, size_t to) const {
  const Node& target = nodes_[to];
  return target.up && !target.frozen && target.group == nodes_[from].group;
}

void MemberNetwork::push(Event event) {
  event.order = ++order_;
  events_.push_back(std::move(event));
  std::push_heap(events_.begin(), events_.end(), [](const Event& a, const Event& b) {
    return a.when != b.when ? a.when > b.when : a.order > b.order;
  });
}

void MemberNetwork::transmit(size_t from, Send& send) {
  const auto share = [&] { return static_cast<double>(random_() >> 11) * 0x1p-53; };
  const auto to = numbers_.find(static_cast<uint64_t>(send.to));
  ++datagrams;
  bytes += send.bytes.size() + kAddedBytes;
  if (to == numbers_.end() || share() < weather.loss) return;
  const int copies = share() < weather.twice ? 2 : 1;
  for (int copy = 0; copy < copies; ++copy) {
    const auto spread =
        static_cast<uint64_t>((weather.most_delay - weather.least_delay).count()) * 1000 + 1;
    const auto delay = weather.least_delay + std::chrono::microseconds(random_() % spread);
    push({.when = now_ + delay,
          .kind = Kind::kDatagram,
          .node = static_cast<uint32_t>(to->second),
          .other = static_cast<uint32_t>(from),
          .bytes = copy + 1 < copies ? send.bytes : std::move(send.bytes)});
  }
}

void MemberNetwork::settle(size_t number) {
  Output output = member(number).take_output();
  for (Send& send : output.sends) transmit(number, send);
  for (const Change& change : output.changes) {
    changed_ = true;
    const auto about = numbers_.find(static_cast<uint64_t>(change.node));
    if (on_change && about != numbers_.end()) on_change(number, about->second, change.kind);
  }
  for (const Dial& dial : output.dials) {
    ++dials;
    const auto to = numbers_.find(static_cast<uint64_t>(dial.node));
    const bool answers = to != numbers_.end() && reaches(number, to->second);
    push({.when = now_ + (answers ? weather.most_delay : weather.dial_limit),
          .kind = Kind::kDialled,
          .node = static_cast<uint32_t>(number),
          .other = static_cast<uint32_t>(to == numbers_.end() ? nodes_.size() : to->second),
          .incarnation = dial.incarnation,
          .bytes = answers ? "answers" : ""});
  }
  for (const NodeId sync : output.syncs) {
    const size_t contact = numbers_.at(static_cast<uint64_t>(sync));
    if (reaches(number, contact)) introduce(number, contact);
  }
  Node& node = at(number);
  const MonotonicTime wake = node.machine->next_wake();
  if (wake >= node.wake) return;
  node.wake = wake;
  push({.when = std::max(wake, now_), .kind = Kind::kWake, .node = static_cast<uint32_t>(number)});
}

void MemberNetwork::finish_dial(const Event& event) {
  if (event.other >= nodes_.size() || event.bytes.empty() || !reaches(event.node, event.other)) {
    const size_t dialled = event.other;
    if (dialled < nodes_.size()) member(event.node).dialled(now_, id(dialled), {});
    return;
  }
  const uint64_t incarnation = member(event.other).accused(event.incarnation);
  settle(event.other);
  member(event.node).dialled(now_, id(event.other), incarnation);
}

void MemberNetwork::happen(Event& event) {
  Node& node = at(event.node);
  if (event.kind == Kind::kWake) {
    if (!node.up || node.wake > event.when) return;  // a later one follows
    node.wake = MonotonicTime::max();
    if (node.frozen) {
      node.wake = event.when + Milliseconds(10);
      push({.when = node.wake, .kind = Kind::kWake, .node = event.node});
      return;
    }
    node.machine->tick(now_);
  } else if (!node.up || node.frozen) {
    return;
  } else if (event.kind == Kind::kDatagram) {
    if (!reaches(event.other, event.node)) return;
    static_cast<void>(node.machine->receive(now_, id(event.other), event.bytes));
  } else {
    finish_dial(event);
  }
  settle(event.node);
}

bool MemberNetwork::run_until(const std::function<bool()>& done, Milliseconds limit) {
  const MonotonicTime end = now_ + limit;
  changed_ = true;
  while (!events_.empty() && events_.front().when <= end) {
    if (std::exchange(changed_, false) && done()) return true;
    std::pop_heap(events_.begin(), events_.end(), [](const Event& a, const Event& b) {
      return a.when != b.when ? a.when > b.when : a.order > b.order;
    });
    Event event = std::move(events_.back());
    events_.pop_back();
    now_ = std::max(now_, event.when);
    happen(event);
  }
  now_ = end;
  return done();
}

void MemberNetwork::run_for(Milliseconds time) {
  static_cast<void>(run_until([] { return false; }, time));
}

}  // namespace om::members
