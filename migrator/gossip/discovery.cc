// SPDX-License-Identifier: Apache-2.0
#include "migrator/gossip/discovery.h"

#include <algorithm>
#include <utility>

#include "common/base/log.h"
#include "migrator/gossip/endpoints.h"

namespace om::members {
namespace {

constexpr Milliseconds kSweepStep{100};
constexpr std::chrono::minutes kSweepPause{5};
constexpr Milliseconds kAnswerWithin{300};
// When so many have answered a question, others need not.
constexpr unsigned kEnough = 3;

uint64_t hosts_of(const Subnet& subnet) {
  const uint64_t all = uint64_t{1} << (32 - subnet.bits);
  return all > 2 ? all - 2 : all;
}

std::vector<Address> targets_of(const DiscoverySettings& settings) {
  std::vector<Address> all;
  for (const std::string& seed : settings.seeds) {
    for (const Address& address : addresses_of(seed, settings.default_port)) all.push_back(address);
  }
  if (!settings.service) return all;
  const auto targets = look_up_service(settings.domain, settings.name_server);
  if (!targets) return all;
  for (const Target& target : *targets) {
    for (const Address& address : addresses_of(target.name, target.port)) {
      if (address.port() == target.port) all.push_back(address);
    }
  }
  return all;
}

}  // namespace

std::optional<Address> swept_address(const std::vector<Subnet>& subnets, uint64_t index,
                                     uint16_t port) {
  if (index >= Discovery::kMostSwept) return {};
  for (const Subnet& subnet : subnets) {
    const uint64_t hosts = hosts_of(subnet);
    if (index >= hosts) {
      index -= hosts;
      continue;
    }
    const uint64_t skipped = uint64_t{1} << (32 - subnet.bits) > 2 ? 1 : 0;
    const auto host = static_cast<uint32_t>(subnet.network + index + skipped);
    return endpoint(v4_address(static_cast<uint8_t>(host >> 24), static_cast<uint8_t>(host >> 16),
                               static_cast<uint8_t>(host >> 8), static_cast<uint8_t>(host)),
                    port);
  }
  return {};
}

Discovery::Discovery(Loop& loop, const Clock& clock, DiscoverySettings settings, Local local)
    : loop_(loop),
      clock_(clock),
      settings_(std::move(settings)),
      local_(std::move(local)),
      look_timer_(loop),
      sweep_timer_(loop),
      announce_timer_(loop) {
  settings_.sweep_per_second = std::clamp(settings_.sweep_per_second, 1u, 1000u);
  if (!settings_.multicast) return;
  auto opened = Multicast::open(loop, settings_.multicast_port);
  if (opened) {
    multicast_ = std::move(*opened);
  } else {
    log_warn("discovery", "no multicast: {}, ignoring", opened.error().text());
  }
}

Discovery::~Discovery() = default;

std::string Discovery::datagram(DiscoveryKind kind) const {
  DiscoveryDatagram out = settings_.self;
  out.kind = kind;
  return encode_discovery(out);
}

void Discovery::start() {
  if (multicast_) {
    multicast_->start(
        [this](const Address& from, std::string_view bytes) { hear(from, bytes, true); });
    if (!asks_only_) announce();
  }
  look();
}

void Discovery::ask() {
  asks_only_ = true;
  start();
}

void Discovery::look() {
  if (multicast_) multicast_->send(datagram(DiscoveryKind::kAsk));
  resolve();
  if (!settings_.sweep.empty() && sweep_at_ == 0 && clock_.now() >= sweep_again_)
    sweep_timer_.start(Milliseconds(0), [this] { sweep_some(); });
  look_timer_.start(local_.alone() ? kAlone : kTogether, [this] { look(); });
}

void Discovery::resolve() {
  if (resolving_ || (settings_.seeds.empty() && !settings_.service)) return;
  resolving_ = true;
  const auto addresses = std::make_shared<std::vector<Address>>();
  const auto settings = std::make_shared<DiscoverySettings>(settings_);
  run_in_pool(
      loop_, [addresses, settings] { *addresses = targets_of(*settings); },
      [this, addresses, alive = std::weak_ptr<bool>(alive_)] {
        if (alive.expired()) return;
        resolving_ = false;
        for (const Address& address : *addresses) found(address);
      });
}

void Discovery::sweep_some() {
  const std::string ask = datagram(DiscoveryKind::kAsk);
  const unsigned step = std::max(1u, settings_.sweep_per_second / 10);
  for (unsigned i = 0; i < step; ++i) {
    const auto to = swept_address(settings_.sweep, sweep_at_, settings_.default_port);
    if (!to) {
      sweep_at_ = 0;
      sweep_again_ = clock_.now() + kSweepPause;
      return;
    }
    ++sweep_at_;
    if (!local_.is_ours(*to)) local_.send(*to, ask);
  }
  const Milliseconds pause = settings_.sweep_per_second < 10
                                 ? Milliseconds(1000 / settings_.sweep_per_second)
                                 : kSweepStep;
  sweep_timer_.start(pause, [this] { sweep_some(); });
}

void Discovery::receive(const Address& from, std::string_view bytes) { hear(from, bytes, false); }

void Discovery::hear(const Address& from, std::string_view bytes, bool multicast) {
  const auto datagram = decode_discovery(bytes);
  if (!datagram) return local_.on_malformed(from);
  const DiscoveryDatagram& self = settings_.self;
  if (datagram->node == self.node) return;
  Address at = from;
  at.set_port(datagram->port);
  const bool ours = datagram->cluster == self.cluster;
  if (!ours || datagram->major != self.major) {
    // Where it says that it listens: the question may have come by another family of addresses.
    if (!datagram->addresses.empty()) at = endpoint(datagram->addresses.front(), datagram->port);
    sightings_.add({at, datagram->node, datagram->name, datagram->cluster, datagram->cluster_name,
                    datagram->major, clock_.now()});
    return;
  }
  if (datagram->kind == DiscoveryKind::kAsk) return asks_only_ ? void() : answer(from, multicast);
  if (multicast) ++heard_;
  if (local_.is_present(datagram->node)) return;
  if (datagram->addresses.empty()) return found(at);
  for (const HostAddress& host : datagram->addresses) found(endpoint(host, datagram->port));
}

bool Discovery::answer_allowed() {
  const MonotonicTime now = clock_.now();
  if (now - answer_second_ >= std::chrono::seconds(1)) {
    answer_second_ = now;
    answers_ = 0;
  }
  return answers_++ < kAnswersASecond;
}

// A question to all is answered by an announcement to all, unless enough others were faster: so nobody can have a flood
// sent to somebody else.
void Discovery::answer(const Address& from, bool multicast) {
  if (!multicast) {
    if (answer_allowed()) local_.send(from, datagram(DiscoveryKind::kAnnounce));
    return;
  }
  if (std::exchange(announcing_, true)) return;
  heard_ = 0;
  const Milliseconds within(static_cast<int64_t>(random_() % kAnswerWithin.count()));
  announce_timer_.start(within, [this] {
    announcing_ = false;
    if (heard_ < kEnough && answer_allowed()) announce();
  });
}

void Discovery::announce() { multicast_->send(datagram(DiscoveryKind::kAnnounce)); }

void Discovery::found(const Address& address) {
  if (local_.is_ours(address)) return;
  const MonotonicTime now = clock_.now();
  const auto due = [&](MonotonicTime tried) { return now - tried >= kAlone - Milliseconds(500); };
  if (tried_.size() >= kMostTried)
    std::erase_if(tried_, [&](auto& item) { return due(item.second); });
  const std::string text = address.text();
  const auto at = tried_.find(text);
  if (at != tried_.end() ? !due(at->second) : tried_.size() >= kMostTried) return;
  tried_[text] = now;
  local_.on_found(address);
}

}  // namespace om::members
