// SPDX-License-Identifier: Apache-2.0
//
// Admits a guest that another node offers, and starts its keeper. peers/admission.h only decides; this code collects
// the facts for the decision and acts on it.
#pragma once

#include <kj/async.h>

#include <optional>
#include <string>
#include <vector>

#include "migrator/moves/keepers.h"
#include "migrator/peers/admission.h"
#include "migrator/peers/facts.h"
#include "migrator/processes/events.h"

namespace om::migrator {

class GuestAdmission {
 public:
  struct Policy {
    std::string node;  // own name
    bool accepts = true;
    bool plain = false;           // nothing between nodes is encrypted
    uint64_t headroom_bytes = 0;  // memory that guests never get
    GuestLimits limits;
    GuestResources resources;
  };
  GuestAdmission(Policy policy, const OwnFacts& facts, Keepers& keepers, Events& events);

  const Policy& policy() const { return policy_; }
  // Whether this node is being emptied: it takes nobody then.
  void set_draining(bool draining) { draining_ = draining; }
  bool draining() const { return draining_; }
  // Why this node takes nobody now; empty if it may take somebody.
  std::vector<Reason> refuse_everybody() const;

  // nullopt: a keeper has been started and recorded. Adds an event either way.
  kj::Promise<std::optional<Reason>> admit(const Offer& offer);

 private:
  // This node as it is now, for an offer.
  Result<Host> host_for(const Offer& offer) const;
  std::optional<Reason> conclude(const Offer& offer, const Result<void>& possible,
                                 std::optional<Reason> refusal);

  Policy policy_;
  bool draining_ = false;
  const OwnFacts& facts_;
  Keepers& keepers_;
  Events& events_;
};

}  // namespace om::migrator
