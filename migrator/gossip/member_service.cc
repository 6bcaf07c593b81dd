// SPDX-License-Identifier: Apache-2.0
#include "migrator/gossip/member_service.h"

#include <algorithm>
#include <utility>

#include "common/base/log.h"
#include "migrator/gossip/endpoints.h"

namespace om::members {
namespace {

constexpr Milliseconds kSweepEvery{60000};

Refusal refusal_of(bool denied) { return denied ? Refusal::kDenied : Refusal::kMalformed; }

}  // namespace

Result<std::unique_ptr<MemberService>> MemberService::create(Loop& loop, const Clock& clock,
                                                             Settings settings,
                                                             std::unique_ptr<GossipSocket> socket,
                                                             Links links, Events events) {
  OM_TRY(check_record(settings.self));
  if (settings.start.incarnation >= kMaxIncarnation)
    return plain_error("the incarnations of this node are used up");
  const std::vector<GroupKey> keys = settings.keys;
  if (keys.empty()) return plain_error("a cluster without a group key");
  std::unique_ptr<MemberService> service(new MemberService(
      loop, clock, std::move(settings), std::move(socket), std::move(links), std::move(events)));
  for (const GroupKey& key : keys) OM_TRY(service->add_key(key));
  return service;
}

MemberService::MemberService(Loop& loop, const Clock& clock, Settings settings,
                             std::unique_ptr<GossipSocket> socket, Links links, Events events)
    : loop_(loop),
      clock_(clock),
      links_(std::move(links)),
      events_(std::move(events)),
      random_(uint64_t{std::random_device{}()} << 32 | std::random_device{}()),
      machine_(std::make_unique<Membership>(
          std::move(settings.membership), pool_, [this] { return random_(); }, settings.self,
          settings.start.incarnation, clock.now())),
      seal_(settings.self.id, settings.start.counter,
            [this](NodeId node) { return machine_->find(node) != nullptr; }),
      refusals_([](const std::string& line) { log_warn("gossip", "{}", line); }),
      socket_(std::move(socket)),
      timer_(loop),
      sweep_timer_(loop),
      key_timer_(loop) {
  DiscoveryDatagram& self = settings.discovery.self;
  self.major = settings.self.major;
  self.minor = settings.self.minor;
  self.port = settings.self.port;
  self.node = settings.self.id;
  self.name = settings.self.name;
  discovery_ =
      std::make_unique<Discovery>(loop, clock, std::move(settings.discovery), discovery_local());
}

MemberService::~MemberService() = default;

Discovery::Local MemberService::discovery_local() {
  Discovery::Local local;
  local.alone = [this] {
    return std::none_of(machine_->members().begin(), machine_->members().end(),
                        [](const Member& member) { return member.present(); });
  };
  local.is_present = [this](NodeId node) {
    const Member* member = machine_->find(node);
    return node == self().id || (member != nullptr && member->present());
  };
  local.is_ours = [this](const Address& address) {
    if (listens_at(self(), address)) return true;
    return std::any_of(machine_->members().begin(), machine_->members().end(),
                       [&](const Member& member) {
                         return member.present() && listens_at(*member.record, address);
                       });
  };
  local.on_found = [this](const Address& address) { fetch(address, {}); };
  local.send = [this](const Address& to, std::string_view bytes) {
    return socket_->send(to, bytes);
  };
  local.on_malformed = [this](const Address& from) {
    refusals_.add(Refusal::kMalformed, from, clock_.now());
  };
  return local;
}

bool MemberService::listens_at(const NodeRecord& record, const Address& address) const {
  return record.port == address.port() &&
         std::find(record.addresses.begin(), record.addresses.end(), host_address(address)) !=
             record.addresses.end();
}

void MemberService::start() {
  socket_->start([this](const Address& from, std::string_view bytes) { receive(from, bytes); });
  discovery_->start();
  sweep_timer_.start_repeating(kSweepEvery, [this] { sweep(); });
  settle();
}

void MemberService::receive(const Address& from, std::string_view bytes) {
  if (is_discovery(bytes)) return discovery_->receive(from, bytes);
  const MonotonicTime now = clock_.now();
  const auto opened = seal_.open(bytes, now);
  if (!opened) {
    refusals_.add(opened.error(), from, now);
    // Two keys may have the same number.
    const bool other_key =
        opened.error() == Refusal::kUnknownKey || opened.error() == Refusal::kBadTag;
    if (other_key && events_.on_unknown_key && now - asked_for_key_ >= kAskForKeyEvery) {
      asked_for_key_ = now;
      events_.on_unknown_key();
    }
    return;
  }
  const NodeId sender = opened->sender;
  if (!machine_->receive(now, sender, opened->text)) {
    refusals_.add(refusal_of(machine_->denied(sender)), from, now);
  } else {
    note_route(sender, from);
  }
  settle(Replying{sender, from});
}

void MemberService::note_route(NodeId sender, const Address& from) {
  const Member* member = machine_->find(sender);
  if (member == nullptr) return;
  const bool confirmed = listens_at(*member->record, from);
  Route& route = routes_[sender];
  if (!confirmed && route.confirmed && listens_at(*member->record, route.seen)) return;
  route = {from, confirmed};
}

std::optional<Address> MemberService::route_to(NodeId node) const {
  const auto route = routes_.find(node);
  if (route != routes_.end()) return route->second.seen;
  const Member* member = machine_->find(node);
  if (member == nullptr) return {};
  return endpoint(member->record->addresses.front(), member->record->port);
}

void MemberService::send(const Send& send, const std::optional<Replying>& replying) {
  const auto to =
      replying && replying->to == send.to ? std::optional(replying->at) : route_to(send.to);
  if (!to) return;
  auto datagram = seal_.seal(send.bytes);
  if (!datagram) return log_error("gossip", "{}", datagram.error().text());
  socket_->send(*to, *datagram);
}

void MemberService::settle(const std::optional<Replying>& replying) {
  const Output output = machine_->take_output();
  for (const Send& datagram : output.sends) send(datagram, replying);
  for (const Change& change : output.changes) report(change);
  for (const Dial& wanted : output.dials) dial(wanted);
  for (const NodeId node : output.syncs) {
    if (const auto at = route_to(node)) fetch(*at, node);
  }
  arm();
}

void MemberService::arm() {
  const auto wait = std::chrono::ceil<Milliseconds>(machine_->next_wake() - clock_.now());
  timer_.start(std::clamp(wait, Milliseconds(0), kSweepEvery), [this] {
    machine_->tick(clock_.now());
    settle();
  });
}

void MemberService::dial(const Dial& dial) {
  const auto node = find(dial.node);
  if (!node) return;
  links_.accuse(*node, dial.incarnation,
                [this, id = dial.node,
                 alive = std::weak_ptr<bool>(alive_)](std::optional<uint64_t> incarnation) {
                  if (alive.expired()) return;
                  machine_->dialled(clock_.now(), id, incarnation);
                  settle();
                });
}

void MemberService::report(const Change& change) {
  const WallTime now = clock_.wall();
  const Member* member = machine_->find(change.node);
  const bool same_state = change.kind == ChangeKind::kRestated ||
                          change.kind == ChangeKind::kTcpOnly ||
                          change.kind == ChangeKind::kDatagrams;
  if (member != nullptr && !same_state) since_[change.node] = now;
  MemberView node{.id = change.node, .name = {}, .addresses = {}, .since = now};
  if (member != nullptr) node = view(*member);
  // What was heard from there before may no longer be true.
  if (change.kind == ChangeKind::kDown || change.kind == ChangeKind::kLeft ||
      change.kind == ChangeKind::kRestated)
    routes_.erase(change.node);
  if (events_.on_change) events_.on_change(change.kind, node);
}

void MemberService::fetch(const Address& address, std::optional<NodeId> node) {
  const std::string text = address.text();
  if (fetching_.size() >= kMostFetches || !fetching_.insert(text).second) return;
  links_.fetch(address, node,
               [this, text, alive = std::weak_ptr<bool>(alive_)](Result<Fetched> fetched) {
                 if (alive.expired()) return;
                 fetching_.erase(text);
                 if (!fetched) {
                   log_debug("gossip", "{}: {}", text, fetched.error().text());
                   return;
                 }
                 if (fetched->from == self().id || machine_->denied(fetched->from)) return;
                 machine_->merge(clock_.now(), fetched->rumours);
                 settle();
               });
}

uint64_t MemberService::accused(uint64_t incarnation) {
  const uint64_t answer = machine_->accused(incarnation);
  settle();
  return answer;
}

SnapshotPage MemberService::page(const std::string& after) const {
  return page_of(machine_->snapshot(), after);
}

Result<void> MemberService::add_key(const GroupKey& key) {
  const bool first = seal_.keys().empty();
  const uint32_t before = seal_.newest();
  OM_TRY(seal_.add_key(key));
  if (first || seal_.newest() == before) return {};
  key_timer_.start(kChangeOver, [this] {
    seal_.use_newest();
    key_timer_.start(kAcceptOlder, [this] { seal_.drop_older(); });
  });
  return {};
}

void MemberService::restate(uint64_t features) {
  machine_->restate(features);
  settle();
}

void MemberService::leave() {
  machine_->leave(clock_.now());
  settle();
}

bool MemberService::deny(NodeId node, std::string_view entry) {
  const bool done = machine_->deny(node, entry);
  settle();
  return done;
}

// Nothing is kept of nodes that have been forgotten.
void MemberService::sweep() {
  const auto forgotten = [this](const auto& item) { return machine_->find(item.first) == nullptr; };
  std::erase_if(routes_, forgotten);
  std::erase_if(since_, forgotten);
  seal_.sweep();
}

MemberView MemberService::view(const Member& member) const {
  const NodeRecord& record = *member.record;
  const auto since = since_.find(record.id);
  return members::view_of(record, member.state(),
                          since == since_.end() ? WallTime{} : since->second);
}

std::vector<MemberView> MemberService::members() const {
  std::vector<MemberView> all;
  for (const Member& member : machine_->members()) all.push_back(view(member));
  return all;
}

std::optional<MemberView> MemberService::find(NodeId node) const {
  const Member* member = machine_->find(node);
  if (member == nullptr) return {};
  return view(*member);
}

std::optional<MemberView> MemberService::find(const std::string& name) const {
  const Member* best = nullptr;
  for (const Member& member : machine_->members()) {
    if (member.record->name == name && (best == nullptr || (member.present() && !best->present())))
      best = &member;
  }
  if (best == nullptr) return {};
  return view(*best);
}

}  // namespace om::members
