// SPDX-License-Identifier: Apache-2.0
//
// The part of Node that tells its parts of each other: what each asks for and says goes through functions that are made
// here.
#include <kj/debug.h>

#include <nlohmann/json.hpp>

#include "migrator/control/verbs.h"
#include "migrator/node.h"

namespace om::migrator {
namespace {

// After the members have changed.
constexpr Milliseconds kSettle{100};

}  // namespace

Services Node::services() {
  return Services{.kj = kj_,
                  .loop = loop_,
                  .processes = processes_.table,
                  .census = processes_.census,
                  .sampler = processes_.sampler,
                  .keepers = children_.keepers,
                  .deputies = children_.deputies,
                  .moves = moves_,
                  .leaving = peers_.leaving,
                  .peers = peers_.table,
                  .admission = peers_.admission,
                  .events = events_,
                  .facts = facts_,
                  .load = load_.sampler,
                  .speed = load_.speed,
                  .cpus = load_.cpus,
                  .rights = rights_,
                  .cluster = peers_.cluster,
                  .cluster_service = peers_.cluster_service,
                  .membership = peers_.membership,
                  .clock = clock_,
                  .trust = peers_.trust,
                  .refusals = peers_.refusals,
                  .name = options_.name,
                  .remote_control = options_.remote_control,
                  .guest_namespaces = options_.guest_namespaces,
                  .address = options_.listen,
                  .ready_line = [this] { return ready_line(); },
                  .snapshot = [this] { return snapshot(); },
                  .set_peers =
                      [this](std::vector<Peer> peers) {
                        named_peers_ = std::move(peers);
                        use_peers();
                      },
                  .reload_peers = [this] { return reload_peers(); },
                  .reload_credentials = [this] { return reload_credentials(); }};
}

std::map<ProcessId, std::optional<AwayUsage>> Node::away() {
  std::map<ProcessId, std::optional<AwayUsage>> found;
  for (const ProcessId& process : children_.deputies.processes()) {
    auto& usage = found[process];
    const auto stats = children_.deputies.stats(process);
    if (children_.deputies.state(process) == DeputyLink::State::kAway && stats)
      usage = {stats->received, stats->cpu_ms, stats->calls, stats->rss_bytes, stats->threads};
  }
  return found;
}

void Node::count_running(LoadSampler::Told told) {
  processes_.sampler.count_running(children_.keepers.pids(), std::move(told));
}

PeerLink::Local Node::peer_local() {
  PeerLink::Local local;
  local.from = options_.listen;
  local.facts = [this] { return facts_.now(); };
  local.on_change = [this](const std::string& peer, bool up, const std::string& reason) {
    events_.add({up ? "peer_up" : "peer_down", 0, peer, std::nullopt, up ? "is up" : reason,
                 "node " + peer});
  };
  local.tls = [this] { return peers_.trust.tls(); };
  local.on_refusal = [this](const Refusal& refusal, const std::string& peer) {
    peers_.refusals.note(refusal, peer);
  };
  local.desk = &peers_.desk;
  return local;
}

NodeService::Local Node::service_local() {
  NodeService::Local local;
  local.facts = [this] { return facts_.now(); };
  local.knows = [this](const Address& from) {
    if (quiet()) return false;
    for (const PeerLink* link : peers_.table.all()) {
      if (link->peer().address.same_host(from)) return true;
    }
    return false;
  };
  local.address_of = [this](const std::string& name) { return peers_.table.address_of(name); };
  local.on_hello = [this](const std::string& name) {
    if (PeerLink* link = peers_.table.find(name)) link->nudge();
  };
  local.admit = [this](const Offer& offer) { return peers_.admission.admit(offer); };
  local.tls = [this] { return peers_.trust.tls(); };
  local.on_refusal = [this](const Refusal& refusal, const std::string& source) {
    peers_.refusals.note(refusal, source);
  };
  local.desk = &peers_.desk;
  local.drain = [this](const Certificate& peer, Milliseconds limit) -> kj::Promise<EmptyAnswer> {
    if (!verbs_) return KJ_EXCEPTION(DISCONNECTED, "this node is only starting");
    return verbs_->remote_control().drain(peer, limit);
  };
  local.undrain = [this](const Certificate& peer) -> OpenAnswer {
    if (!verbs_) return Failure{ExitCode::kFailure, "this node is only starting"};
    return verbs_->remote_control().undrain(peer);
  };
  local.on_joiner = [this](kj::Own<TlsStream> stream, const Address& from) {
    return peers_.cluster_service.serve(kj::mv(stream), from);
  };
  return local;
}

members::DiscoverySettings Node::discovery_settings() const {
  members::DiscoverySettings settings;
  settings.multicast = options_.multicast.value_or(!options_.listen.is_loopback());
  settings.seeds = options_.seeds;
  settings.service = options_.srv.has_value();
  settings.domain = options_.srv.value_or("");
  settings.sweep = options_.sweep;
  return settings;
}

std::optional<EtcdSettings> Node::etcd_settings() const {
  if (options_.membership != MembershipKind::kEtcd) return std::nullopt;
  return EtcdSettings{options_.etcd,    options_.etcd_user, options_.etcd_password,
                      options_.etcd_ca, options_.etcd_cert, options_.etcd_key};
}

NodeMembership::Local Node::membership_local() {
  return {
      .trust = peers_.trust,
      .cluster = peers_.cluster,
      .peers = peers_.table,
      .desk = peers_.desk,
      .on_refusal = [this](const Refusal& refusal,
                           const std::string& source) { peers_.refusals.note(refusal, source); },
      .ask_for_key =
          [this](const std::string& holder) { peers_.cluster_service.ask_for_key(holder); }};
}

ClusterDesk Node::desk() {
  ClusterDesk desk = peers_.cluster_service.desk();
  desk.accused = [this](uint64_t incarnation) { return peers_.membership.accused(incarnation); };
  desk.snapshot = [this](const std::string& after) { return peers_.membership.page(after); };
  return desk;
}

Cluster::Local Node::cluster_local() {
  Cluster::Local local;
  local.name = options_.name;
  local.address = options_.listen;
  local.reload = [this] { return reload_credentials(); };
  // Later: the links and connections that this is about may be the ones that have just told us, and a node that was
  // removed is told so before it is cut off.
  local.members_changed = [this] { members_changed_.start(kSettle, [this] { use_members(); }); };
  local.denied = [this](const std::string& name) { end_sessions_with(name); };
  local.pass_on_denied = [this](const DenyEntry& entry) { peers_.membership.pass_on(entry); };
  local.event = [this](const std::string& kind, const std::string& node, const std::string& text) {
    events_.add({kind, 0, node, std::nullopt, text, "node " + node});
  };
  return local;
}

}  // namespace om::migrator
