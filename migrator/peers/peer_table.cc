// SPDX-License-Identifier: Apache-2.0
#include "migrator/peers/peer_table.h"

#include <algorithm>
#include <iterator>
#include <random>

#include "common/base/log.h"

namespace om::migrator {

PeerTable::PeerTable(UvKj& kj, PeerLink::Local local)
    : kj_(kj), local_(std::move(local)), tasks_(kj::heap<kj::TaskSet>(errors_)) {}

PeerTable::~PeerTable() noexcept(false) { tasks_ = nullptr; }

void PeerTable::set(const std::vector<Peer>& peers) {
  std::map<std::string, std::unique_ptr<PeerLink>> next;
  for (const Peer& peer : peers) {
    if (next.contains(peer.name)) continue;
    auto it = links_.find(peer.name);
    const bool kept = it != links_.end() && it->second->peer().on_demand == peer.on_demand &&
                      it->second->peer().address.text() == peer.address.text();
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

std::vector<std::string> PeerTable::some_members(size_t most) const {
  static std::minstd_rand generator{std::random_device{}()};
  std::vector<std::string> up, chosen;
  for (auto& [name, link] : links_) {
    if (link->encrypted()) up.push_back(name);
  }
  std::sample(up.begin(), up.end(), std::back_inserter(chosen), most, generator);
  return chosen;
}

void PeerTable::refresh(const std::optional<std::string>& name, std::function<void()> done) {
  std::vector<PeerLink*> links;
  for (auto& [each, link] : links_) {
    if ((!name || *name == each) && link->stale()) links.push_back(link.get());
  }
  const size_t room = kMostRefreshed - std::min(kMostRefreshed, refreshing_);
  if (links.size() > room) {
    std::partial_sort(links.begin(), links.begin() + static_cast<ptrdiff_t>(room), links.end(),
                      [](const PeerLink* a, const PeerLink* b) { return a->heard() < b->heard(); });
    links.resize(room);
  }
  if (links.empty()) return done();
  auto all = kj::heapArrayBuilder<kj::Promise<void>>(links.size());
  for (PeerLink* link : links) all.add(link->refresh());
  refreshing_ += links.size();
  tasks_->add(kj::joinPromises(all.finish())
                  .exclusiveJoin(kj_.after(kRefreshLimit))
                  .then([this, count = links.size(), done = std::move(done)] {
                    refreshing_ -= count;
                    done();
                  }));
}

void PeerTable::note_failure(const Address& address, const std::string& text) {
  const std::string at = address.text();
  for (auto& [name, link] : links_) {
    if (link->peer().on_demand && link->peer().address.text() == at) link->note_failure(text);
  }
}

}  // namespace om::migrator
