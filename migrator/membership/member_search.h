// SPDX-License-Identifier: Apache-2.0
//
// Looks for members of a cluster for a machine that is none yet and has a token. What is found are addresses; who is
// there shows in TLS. Loop thread only.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/uv/loop.h"
#include "migrator/gossip/discovery.h"
#include "migrator/identity/token.h"

namespace om::migrator {

class MemberSearch {
 public:
  static constexpr Milliseconds kLimit{4000};  // until the first one
  static constexpr Milliseconds kMore{400};  // after it: more than members wait with their answers
  static constexpr size_t kMostFound = 8;
  using Found = std::function<void(const std::vector<Address>& addresses)>;

  // `how`: of discovery.h, without `self`.
  MemberSearch(Loop& loop, const Clock& clock, const Address& listen, std::string name,
               members::DiscoverySettings how);
  ~MemberSearch();

  // Whether there is any way to find one.
  bool possible() const { return how_.multicast || how_.service || !how_.seeds.empty(); }
  // `found` is called once, from the loop; without addresses if nobody was found. An earlier search ends with
  // what it has. Nothing is called after this has gone.
  void start(const Token& token, Found found);

 private:
  void note(const Address& address);
  void finish();

  Loop& loop_;
  const Clock& clock_;
  Address listen_;
  std::string name_;
  members::DiscoverySettings how_;
  std::vector<Address> addresses_;
  Found found_;
  Timer timer_;
  std::unique_ptr<members::Discovery> discovery_;
};

}  // namespace om::migrator
