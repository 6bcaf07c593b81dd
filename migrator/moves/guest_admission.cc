// SPDX-License-Identifier: Apache-2.0
#include "migrator/moves/guest_admission.h"

#include <memory>

#include "migrator/load/readings.h"

namespace om::migrator {

GuestAdmission::GuestAdmission(Policy policy, const OwnFacts& facts, Keepers& keepers,
                               Events& events)
    : policy_(std::move(policy)), facts_(facts), keepers_(keepers), events_(events) {}

Result<Host> GuestAdmission::host_for(const Offer& offer) const {
  Host host;
  host.name = policy_.node;
  host.accepts = policy_.accepts;
  host.draining = draining_;
  host.plain = policy_.plain;
  host.keeper_gate_abi = facts_.fixed().keeper_gate_abi;
  host.cpu_features = facts_.fixed().cpu_features;
  host.cpus = allowed_cpus().value_or({});
  host.reserved_bytes = keepers_.reserved_bytes();
  host.headroom_bytes = policy_.headroom_bytes;
  host.limits = policy_.limits;
  host.guests = keepers_.counts_for(offer);
  host.resources = policy_.resources;
  if (policy_.resources.all_memory_bytes != 0 || policy_.resources.all_threads != 0)
    host.usage = keepers_.usage();
  if (keepers_.users().used_up()) host.used_up_uids = keepers_.users().range()->text();
  NodeFacts now = facts_.fixed();
  OM_TRY(refresh_facts(now));
  host.free_bytes = now.free_bytes;
  return host;
}

std::vector<Reason> GuestAdmission::refuse_everybody() const {
  const auto host = host_for(Offer{});
  if (!host) return {Reason{ReasonCode::kNoMemory, host.error().text()}};
  return om::migrator::refuse_everybody(*host);
}

kj::Promise<std::optional<Reason>> GuestAdmission::admit(const Offer& offer) {
  const Result<Host> host = host_for(offer);
  if (!host) return conclude(offer, host.error(), std::nullopt);
  if (auto refusal = refuse_offer(offer, *host)) return conclude(offer, {}, std::move(refusal));
  struct Verdict {
    kj::Own<kj::PromiseFulfiller<void>> reached;
    std::optional<Reason> refusal;
  };
  auto pair = kj::newPromiseAndFulfiller<void>();
  auto verdict = std::make_shared<Verdict>(Verdict{kj::mv(pair.fulfiller), std::nullopt});
  keepers_.start(offer, [this, offer, verdict](const Result<void>& started) {
    verdict->refusal = conclude(offer, started, std::nullopt);
    verdict->reached->fulfill();
  });
  return pair.promise.then([verdict] { return verdict->refusal; });
}

// Makes the answer to the peer, and adds an event.
std::optional<Reason> GuestAdmission::conclude(const Offer& offer, const Result<void>& possible,
                                               std::optional<Reason> refusal) {
  if (!possible) {
    refusal = Reason{reason_of_errno(possible.error().err),
                     "node " + policy_.node + ": " + possible.error().text()};
  }
  events_.add({refusal ? "rejected" : "admitted", offer.pid, offer.home_node,
               refusal ? std::optional(refusal->code) : std::nullopt,
               refusal ? refusal->message() : "a guest comes",
               guest_owner(offer.home_node, offer.uid)});
  return refusal;
}

}  // namespace om::migrator
