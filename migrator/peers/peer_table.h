// SPDX-License-Identifier: Apache-2.0
//
// All peers of this node, by name: a PeerLink each. The list comes from the peers file or from `peers.set`;
// a peer whose address stays the same keeps its connection when the list changes.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "migrator/peers/peer_link.h"

namespace om::migrator {

class PeerTable {
 public:
  PeerTable(UvKj& kj, PeerLink::Local local) : kj_(kj), local_(std::move(local)) {}

  void set(const std::vector<Peer>& peers);
  // All links dial anew.
  void redial();
  PeerLink* find(const std::string& name);
  std::optional<Address> address_of(const std::string& name) const;
  std::vector<const PeerLink*> all() const;  // by name

 private:
  UvKj& kj_;
  PeerLink::Local local_;
  std::map<std::string, std::unique_ptr<PeerLink>> links_;
};

}  // namespace om::migrator
