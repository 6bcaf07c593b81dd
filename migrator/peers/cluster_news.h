// SPDX-License-Identifier: Apache-2.0
//
// What members tell each other about the cluster itself, as the RPC between nodes needs it: the news that go with
// each hello, and the functions that answer a member's other questions. Who the member is has been verified by TLS.
#pragma once

#include <stdint.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/net/address.h"
#include "common/net/control.h"
#include "common/tls/certificate.h"
#include "migrator/identity/cluster_files.h"

namespace om::migrator {

struct ClusterNews {
  std::string listen;      // where it listens, numeric, with a port; empty: it is in no cluster
  bool signer = false;     // has the CA's key
  uint32_t group_key = 0;  // number of its group key
  std::string denied;      // DenyList::digest()
  std::string key_check;   // tells two group keys of one number apart; empty: not known
};

// A piece of a list of members (migrator/gossip/snapshot.h), and what the next one follows; empty: it was the last.
struct MemberPage {
  std::string rumours;
  std::string next;
};

// All but the last two are set. They may change the list of peers, but not before the caller has returned to the loop.
struct ClusterDesk {
  std::function<ClusterNews()> news;
  // From either side of a connection. `seen`: the peer's address on it.
  std::function<void(const Certificate& peer, const ClusterNews& news, const Address& seen)> heard;
  // On the side that can ask the peer: what it has and this node has not.
  std::function<void(const std::string& peer, const ClusterNews& news)> compare;
  // A new certificate (PEM) for the peer.
  std::function<Expected<std::string, Failure>(const Certificate& peer, std::string_view request)>
      renew;
  // Takes the peer's deny entries, and gives all that this node has.
  std::function<std::vector<std::string>(const Certificate& peer,
                                         const std::vector<std::string>& entries)>
      exchange_denied;
  std::function<GroupKey()> group_key;
  std::function<void(const Certificate& peer)> farewell;
  std::function<bool(const NodeId& node)> denies;
  // Of the membership; unset: this node has none. The peer suspects this node: returns its incarnation, or nullopt.
  std::function<std::optional<uint64_t>(uint64_t incarnation)> accused{};
  std::function<std::optional<MemberPage>(const std::string& after)> snapshot{};
};

}  // namespace om::migrator
