// SPDX-License-Identifier: Apache-2.0
#include "migrator/membership/member_search.h"

#include <string.h>

#include <random>
#include <utility>

#include "common/base/version.h"

namespace om::migrator {

MemberSearch::MemberSearch(Loop& loop, const Clock& clock, const Address& listen, std::string name,
                           members::DiscoverySettings how)
    : loop_(loop),
      clock_(clock),
      listen_(listen),
      name_(std::move(name)),
      how_(std::move(how)),
      timer_(loop) {
  how_.sweep.clear();  // answers would come to the socket of a member
}

MemberSearch::~MemberSearch() = default;

void MemberSearch::start(const Token& token, Found found) {
  finish();
  found_ = std::move(found);
  members::DiscoverySettings settings = how_;
  members::DiscoveryDatagram& self = settings.self;
  self.major = kProtocolMajor;
  self.minor = kProtocolMinor;
  self.port = listen_.port();
  ::memcpy(self.cluster.data(), token.ca_hash.data(), self.cluster.size());
  self.node = NodeId(uint64_t{std::random_device{}()} << 32 | std::random_device{}());
  self.name = name_;
  self.cluster_name = token.cluster;
  members::Discovery::Local local;
  local.alone = [] { return true; };
  local.is_present = [](NodeId) { return false; };
  local.is_ours = [this](const Address& address) { return address.text() == listen_.text(); };
  local.on_found = [this](const Address& address) { note(address); };
  local.send = [](const Address&, std::string_view) { return false; };
  local.on_malformed = [](const Address&) {};
  discovery_ = std::make_unique<members::Discovery>(loop_, clock_, std::move(settings), local);
  timer_.start(kLimit, [this] { finish(); });
  discovery_->ask();
}

void MemberSearch::note(const Address& address) {
  if (addresses_.size() >= kMostFound) return;
  addresses_.push_back(address);
  if (addresses_.size() == 1) timer_.start(kMore, [this] { finish(); });
}

void MemberSearch::finish() {
  discovery_.reset();
  const auto found = std::exchange(found_, nullptr);
  if (found) found(std::exchange(addresses_, {}));
}

}  // namespace om::migrator
