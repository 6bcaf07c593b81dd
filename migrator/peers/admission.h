// SPDX-License-Identifier: Apache-2.0
//
// Decides whether a process may come. Pure: all inputs are arguments. The node service calls it for every admit from a
// peer, before starting anything. Codes are those of docs/REASONS.md.
#pragma once

#include <stdint.h>

#include <optional>
#include <string>
#include <vector>

#include "common/movable/reasons.h"
#include "migrator/peers/guest_resources.h"
#include "migrator/peers/offer.h"

namespace om::migrator {

// Limits on the number of guests.
struct GuestLimits {
  uint32_t in_all = UINT32_MAX;
  uint32_t of_home = UINT32_MAX;  // of one other node
  uint32_t of_user = UINT32_MAX;  // of one user of one other node
};

// Default limits for a machine with this many CPUs. Far fewer busy guests use up memory and CPU time; these limits are
// against guests that are merely numerous. No home can take all places, and no user all of their home's.
constexpr GuestLimits default_guest_limits(uint32_t cpus) {
  const uint32_t in_all = 192 + 32 * (cpus < 1024 ? cpus : 1024);
  return {in_all, in_all / 4 * 3, in_all / 2};
}

// How many guests there are, including those being started.
struct GuestCounts {
  uint32_t in_all = 0;
  uint32_t of_home = 0;  // of the offer's home
  uint32_t of_user = 0;  // of the offer's user there
};

// This node as a host for the guest.
struct Host {
  std::string name;
  bool accepts = true;    // false: configured to take no guests
  bool draining = false;  // guests have to go (control/drain.h)
  bool plain = false;     // configured not to encrypt; otherwise to do nothing else
  uint32_t keeper_gate_abi = 0;
  std::vector<std::string> cpu_features;
  std::vector<uint32_t> cpus;   // ids that a guest may be pinned to, ascending
  uint64_t free_bytes = 0;      // MemAvailable
  uint64_t reserved_bytes = 0;  // promised to guests that have just been admitted
  uint64_t headroom_bytes = 0;  // reserved for the host
  GuestLimits limits;
  GuestCounts guests;
  GuestResources resources;
  GuestUsage usage;          // of the guests here
  std::string used_up_uids;  // the range, if each of its ids has a process already
};

// The cipher that is fastest where both nodes have these CPU features.
Cipher choose_cipher(const std::vector<std::string>& home, const std::vector<std::string>& target);

// Why nodes with these settings do not send each other processes, or nullopt. `who` is the node that speaks.
std::optional<Reason> refuse_wire(const std::string& who, bool plain, bool other_plain);
// Why nobody may come now, whatever is offered; empty if somebody may.
std::vector<Reason> refuse_everybody(const Host& host);

// nullopt: accepted.
std::optional<Reason> refuse_offer(const Offer& offer, const Host& host);

// Why the two nodes cannot talk to each other, or nullopt. `peer` is the other node's version from hello.
std::optional<Reason> refuse_protocol(uint32_t own, uint32_t peer);

}  // namespace om::migrator
