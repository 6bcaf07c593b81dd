// SPDX-License-Identifier: Apache-2.0
#include "migrator/membership/gossip_engine.h"

#include <utility>

namespace om::migrator {

Result<std::unique_ptr<GossipEngine>> GossipEngine::open(
    UvKj& kj, const Clock& clock, const Credentials& credentials, const OwnDirectory& state,
    members::MembershipOptions options, members::MemberLinks::Dial dial, Events events) {
  std::unique_ptr<GossipEngine> engine(new GossipEngine(kj, std::move(dial)));
  options.machine.verify_deny = std::move(events.verify_deny);
  members::MemberService::Events own;
  own.on_change = std::move(events.on_change);
  own.on_unknown_key = [tell = std::move(events.on_unknown_key)] { tell(""); };
  engine->service_ =
      OM_TRY(members::open_membership(kj.loop(), clock, credentials, state, std::move(options),
                                      engine->links_.links(), std::move(own)));
  return engine;
}

std::vector<std::pair<std::string, uint64_t>> GossipEngine::refused() const {
  std::vector<std::pair<std::string, uint64_t>> counts;
  for (size_t i = 0; i < members::kRefusals; ++i) {
    const auto cause = static_cast<members::Refusal>(i);
    if (const uint64_t count = service_->refusals().count(cause))
      counts.emplace_back(std::string("datagram_") + members::refusal_name(cause), count);
  }
  return counts;
}

Milliseconds GossipEngine::leave() {
  service_->leave();
  return kFarewell;
}

std::optional<MemberPage> GossipEngine::page(const std::string& after) const {
  auto page = service_->page(after);
  return MemberPage{std::move(page.rumours), std::move(page.next)};
}

}  // namespace om::migrator
