// SPDX-License-Identifier: Apache-2.0
//
// What is said about nodes: the parts of the answers to nodes and node.info. Fields are only added.
#pragma once

#include <string>
#include <vector>

#include "common/net/json_line.h"
#include "migrator/control/services.h"

namespace om::migrator {

// An element of `nodes`.
Json describe_self(const Services& services);
Json describe_peer(const PeerLink& link);
Json describe_outsider(const Outsider& node);
// What is wrong with this node's cluster, if it is in one; "" if nothing is.
std::string cluster_warning(const Services& services);

// How guests are confined on this node: what is configured, and what of it holds here. `namespaces`: what
// proc::try_namespaces() says.
Json describe_confinement(const Services& services, const Result<void>& namespaces);

// Why no process can go to that node now, as far as this one knows; the node may still refuse a particular process.
std::vector<Reason> why_no_target(const PeerLink& link, const Services& services);

// The same for a node that is no peer.
Reason why_outside(const Outsider& node);

// [{code, message, remedy}]
Json reasons_to_json(const std::vector<Reason>& reasons);

}  // namespace om::migrator
