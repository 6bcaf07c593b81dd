// SPDX-License-Identifier: Apache-2.0
#include "migrator/membership/etcd_engine.h"

#include <fmt/core.h>

#include <utility>

#include "common/base/log.h"
#include "common/base/version.h"
#include "common/tls/openssl.h"
#include "migrator/gossip/endpoints.h"
#include "migrator/gossip/start_numbers.h"
#include "migrator/membership/node_membership.h"

namespace om::migrator {

Result<std::unique_ptr<EtcdEngine>> EtcdEngine::open(Loop& loop, const Clock& clock,
                                                     Cluster& cluster, const OwnDirectory& state,
                                                     const EtcdSettings& settings, const Self& self,
                                                     Events events) {
  const Credentials& credentials = *cluster.member();
  etcd::Service::Settings service;
  service.endpoints = settings.endpoints;
  service.http.ca = settings.ca;
  service.http.certificate = settings.certificate;
  service.http.key = settings.key;
  service.machine.prefix = etcd::prefix_of(credentials.cluster_id());
  service.machine.user = settings.user;
  service.machine.password = settings.password;
  service.machine.verify_deny = events.verify_deny;
  members::NodeRecord& record = service.machine.self;
  record.id = credentials.id();
  record.name = credentials.name();
  record.number = credentials.number();
  record.addresses = members::own_addresses(self.listen);
  record.port = self.listen.port();
  record.major = kProtocolMajor;
  record.minor = kProtocolMinor;
  record.features = self.features;
  record.stated = OM_TRY(members::take_start_numbers(state, clock.wall())).incarnation;
  if (record.addresses.empty())
    return plain_error("no network interface has an address at which others could reach this node");

  std::unique_ptr<EtcdEngine> engine(
      new EtcdEngine(credentials.name(), self.features, std::move(events)));
  EtcdEngine* const own = engine.get();
  etcd::Service::Events told;
  told.on_change = [own](const etcd::MemberChange& change) {
    own->events_.on_change(change.kind, change.member);
  };
  told.on_token = [own](const etcd::Machine::TokenChange& token) { own->tokens_->follow(token); };
  told.on_all_tokens = [own](const std::set<std::string>& all) { own->tokens_->settle(all); };
  told.on_unknown_key = own->events_.on_unknown_key;
  told.on_reach = [own](const std::optional<std::string>& lost) { own->on_reach(lost); };
  engine->service_ =
      OM_TRY(etcd::Service::create(loop, clock, std::move(service), std::move(told)));
  engine->tokens_.emplace(clock, cluster, *engine->service_);
  return engine;
}

EtcdEngine::~EtcdEngine() noexcept(false) = default;

void EtcdEngine::on_reach(const std::optional<std::string>& lost) {
  if (lost) {
    log_warn("membership", "etcd: {}", *lost);
    events_.on_event("etcd_lost", fmt::format("etcd is out of reach, members stay what they are "
                                              "and nobody can join: {}",
                                              *lost));
  } else {
    log_info("membership", "etcd is back");
    events_.on_event("etcd_back", "etcd is back");
  }
}

std::vector<std::pair<std::string, uint64_t>> EtcdEngine::refused() const {
  std::vector<std::pair<std::string, uint64_t>> counts;
  if (const uint64_t count = service_->malformed()) counts.emplace_back("etcd_malformed", count);
  return counts;
}

void EtcdEngine::restate(uint64_t features) {
  const bool signs_now = (features & ~features_ & kMaySign) != 0;
  features_ = features;
  service_->restate(features);
  if (signs_now) service_->read_again();  // it has no tokens yet
}

// The key itself stays with the members, who fetch it from each other.
Result<void> EtcdEngine::use_group_key(const GroupKey& key) {
  service_->use_key({key.number, sha256(key.bytes).substr(0, etcd::kKeyCheckBytes), name_});
  return {};
}

Milliseconds EtcdEngine::leave() {
  service_->leave();
  return kFarewell;
}

}  // namespace om::migrator
