// SPDX-License-Identifier: Apache-2.0
#include "migrator/peers/peer_table.h"

namespace om::migrator {

void PeerTable::set(const std::vector<Peer>& peers) {
  std::map<std::string, std::unique_ptr<PeerLink>> next;
  for (const Peer& peer : peers) {
    auto it = links_.find(peer.name);
    bool kept = it != links_.end() && it->second->peer().address.text() == peer.address.text();
    next[peer.name] = kept ? std::move(it->second) : std::make_unique<PeerLink>(kj_, peer, local_);
  }
  links_ = std::move(next);
}

void PeerTable::redial() {
  for (auto& [name, link] : links_) link->redial();
}

PeerLink* PeerTable::find(const std::string& name) {
  auto it = links_.find(name);
  return it == links_.end() ? nullptr : it->second.get();
}

std::optional<Address> PeerTable::address_of(const std::string& name) const {
  auto it = links_.find(name);
  if (it == links_.end()) return std::nullopt;
  return it->second->peer().address;
}

std::vector<const PeerLink*> PeerTable::all() const {
  std::vector<const PeerLink*> links;
  for (auto& [name, link] : links_) links.push_back(link.get());
  return links;
}

}  // namespace om::migrator
