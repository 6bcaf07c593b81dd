// SPDX-License-Identifier: Apache-2.0
//
// All peers of this node, by name: a PeerLink each. The list comes from the peers file, from `peers.set` and from the
// membership; a peer whose address and kind stay the same keeps its connection when the list changes.
#pragma once

#include <kj/async.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/uv/task_errors.h"
#include "migrator/peers/peer_link.h"

namespace om::migrator {

class PeerTable {
 public:
  // At a time, by all who ask. Others are shown as they were last.
  static constexpr size_t kMostRefreshed = 32;
  static constexpr Milliseconds kRefreshLimit{1000};

  PeerTable(UvKj& kj, PeerLink::Local local);
  ~PeerTable() noexcept(false);

  void set(const std::vector<Peer>& peers);
  // All links dial anew.
  void redial();
  PeerLink* find(const std::string& name);
  std::optional<Address> address_of(const std::string& name) const;
  std::vector<const PeerLink*> all() const;  // by name
  // Names of at most so many members that are up, chosen at random.
  std::vector<std::string> some_members(size_t most) const;

  // Has links on demand brought up to date (PeerLink::refresh()): that of this peer, or all of which the last news are
  // the oldest. `done` is called in any case, at the latest after kRefreshLimit.
  void refresh(const std::optional<std::string>& name, std::function<void()> done);
  // A dial of whoever listens there has failed.
  void note_failure(const Address& address, const std::string& text);

 private:
  UvKj& kj_;
  PeerLink::Local local_;
  std::map<std::string, std::unique_ptr<PeerLink>> links_;
  size_t refreshing_ = 0;
  TaskErrors errors_{"peer", LogLevel::kError};
  kj::Own<kj::TaskSet> tasks_;
};

}  // namespace om::migrator
