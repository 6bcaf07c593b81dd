// SPDX-License-Identifier: Apache-2.0
#include "migrator/membership/member_peers.h"

#include <fmt/core.h>

#include <map>

#include "common/base/version.h"
#include "migrator/gossip/endpoints.h"
#include "migrator/identity/deny.h"
#include "migrator/peers/admission.h"

namespace om::migrator {

bool is_present(const members::MemberView& member) {
  return member.state == members::State::kAlive || member.state == members::State::kSuspected;
}

Address address_of(const members::MemberView& member) {
  return members::endpoint(member.addresses.front(), member.port);
}

bool listens_at(const members::MemberView& member, const Address& address) {
  return address_of(member).text() == address.text();
}

KnownMember known(const members::MemberView& member) {
  return {member.name, member.id, member.number, address_of(member).text(),
          (member.features & kMaySign) != 0};
}

uint32_t protocol_of(const members::MemberView& member) {
  return static_cast<uint32_t>(member.major) << 16 | member.minor;
}

std::string other_version(const members::MemberView& member) {
  const auto refusal = refuse_protocol(kProtocol, protocol_of(member));
  return refusal ? refusal->message() : "";
}

std::vector<Peer> member_peers(const std::vector<members::MemberView>& members,
                               const Cluster& cluster, bool on_demand) {
  std::map<std::string, Peer> by_name;
  for (Peer& peer : cluster.peers()) {
    peer.on_demand = on_demand;
    by_name[peer.name] = std::move(peer);
  }
  const MemberBook* book = cluster.members();
  std::map<std::string, bool> present;  // of those that are in no book
  for (const members::MemberView& member : members) {
    if (member.state == members::State::kLeft || member.name == cluster.local().name) continue;
    const KnownMember* met = book != nullptr ? book->find(member.name) : nullptr;
    if (met != nullptr && met->id != member.id) continue;
    const auto [seen, first] = present.try_emplace(member.name, is_present(member));
    if (!first && (seen->second || !is_present(member))) continue;
    seen->second = is_present(member);
    by_name[member.name] = {member.name, address_of(member), on_demand};
  }
  std::vector<Peer> all;
  for (auto& [name, peer] : by_name) all.push_back(std::move(peer));
  return all;
}

std::vector<Outsider> denied_nodes(const Cluster& cluster) {
  std::vector<Outsider> all;
  for (const DenyEntry* entry : cluster.denied())
    all.push_back({entry->name, entry->node.text(), "", "denied", removal_text(*entry)});
  return all;
}

Outsider stranger(const members::Sighting& sighting, const Credentials& own) {
  Outsider node{sighting.name, sighting.node.text(), sighting.address.text(), "stranger", ""};
  const std::string_view cluster(reinterpret_cast<const char*>(sighting.cluster.data()),
                                 sighting.cluster.size());
  if (cluster == own.cluster_id()) {
    node.other_version = true;
    node.reason =
        fmt::format("it speaks protocol {}, this node {}", sighting.major, kProtocolMajor);
  } else if (sighting.cluster_name == own.cluster()) {
    node.reason = fmt::format("another CA: its cluster has the same name {}", own.cluster());
  } else {
    node.reason = "another cluster: " + sighting.cluster_name;
  }
  return node;
}

}  // namespace om::migrator
