// SPDX-License-Identifier: Apache-2.0
//
// The membership that needs nothing but the members: gossip/member_service.h behind the interface of engine.h.
#pragma once

#include <memory>

#include "common/base/clock.h"
#include "common/base/own_directory.h"
#include "common/uv/uvkj.h"
#include "migrator/gossip/member_links.h"
#include "migrator/gossip/open_membership.h"
#include "migrator/identity/credentials.h"
#include "migrator/membership/engine.h"

namespace om::migrator {

class GossipEngine final : public MembershipEngine {
 public:
  // How long the rumour of a farewell is sent.
  static constexpr Milliseconds kFarewell{1000};

  // `dial`: connects to members over TLS. Errors: those of open_membership().
  static Result<std::unique_ptr<GossipEngine>> open(UvKj& kj, const Clock& clock,
                                                    const Credentials& credentials,
                                                    const OwnDirectory& state,
                                                    members::MembershipOptions options,
                                                    members::MemberLinks::Dial dial, Events events);

  void start() override { service_->start(); }
  std::vector<members::MemberView> members() const override { return service_->members(); }
  std::optional<members::MemberView> find(NodeId node) const override {
    return service_->find(node);
  }
  std::vector<members::Sighting> others() const override { return service_->others(); }
  std::vector<std::pair<std::string, uint64_t>> refused() const override;
  void restate(uint64_t features) override { service_->restate(features); }
  Result<void> use_group_key(const GroupKey& key) override { return service_->add_key(key); }
  void deny(NodeId node, std::string_view entry) override { service_->deny(node, entry); }
  Milliseconds leave() override;
  std::optional<uint64_t> accused(uint64_t incarnation) override {
    return service_->accused(incarnation);
  }
  std::optional<MemberPage> page(const std::string& after) const override;

 private:
  GossipEngine(UvKj& kj, members::MemberLinks::Dial dial) : links_(kj, std::move(dial)) {}

  members::MemberLinks links_;
  std::unique_ptr<members::MemberService> service_;
};

}  // namespace om::migrator
