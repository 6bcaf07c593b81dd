// SPDX-License-Identifier: Apache-2.0
//
// What the membership knows, as other parts want it: whom this node may reach, and who is no peer of it and why. Pure.
#pragma once

#include <string>
#include <vector>

#include "migrator/cluster/cluster.h"
#include "migrator/gossip/sightings.h"
#include "migrator/members/member_view.h"
#include "migrator/membership/node_membership.h"

namespace om::migrator {

// Alive or suspected.
bool is_present(const members::MemberView& member);
// What its record says first.
Address address_of(const members::MemberView& member);
bool listens_at(const members::MemberView& member, const Address& address);
// As its record says; not proved.
KnownMember known(const members::MemberView& member);
uint32_t protocol_of(const members::MemberView& member);
// Why nothing can be sent to it, if it speaks another major version.
std::string other_version(const members::MemberView& member);

// `members`, but those that have left, and those that the cluster has met before, each name once: of two nodes with one
// name the one that was met, and of those not met one that is present. `on_demand` is for their links.
std::vector<Peer> member_peers(const std::vector<members::MemberView>& members,
                               const Cluster& cluster, bool on_demand);

std::vector<Outsider> denied_nodes(const Cluster& cluster);
// A node of another cluster, or of another version, as one of `own` sees it.
Outsider stranger(const members::Sighting& sighting, const Credentials& own);

}  // namespace om::migrator
