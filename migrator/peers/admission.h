// SPDX-License-Identifier: Apache-2.0
//
// Whether a process may come. Pure: everything it looks at is an argument. Called by the node service for every
// admit of a peer, before anything is started. Codes are those of docs/REASONS.md.
#pragma once

#include <stdint.h>

#include <optional>
#include <string>
#include <vector>

#include "common/movable/reasons.h"
#include "migrator/peers/offer.h"

namespace om::migrator {

// How many guests a node takes.
struct GuestLimits {
  uint32_t in_all = UINT32_MAX;
  uint32_t of_home = UINT32_MAX;  // of one other node
  uint32_t of_user = UINT32_MAX;  // of one user of one other node
};

// What a machine with so many CPUs takes. Memory and CPU time are used up by far fewer that work; this is for those
// that come to be many. No home can take all the places, no user all of his home's.
constexpr GuestLimits default_guest_limits(uint32_t cpus) {
  const uint32_t in_all = 192 + 32 * (cpus < 1024 ? cpus : 1024);
  return {in_all, in_all / 4 * 3, in_all / 2};
}

// How many there are already, those that are being started included.
struct GuestCounts {
  uint32_t in_all = 0;
  uint32_t of_home = 0;  // of the offer's home
  uint32_t of_user = 0;  // of the offer's user there
};

// This node, as the guest would find it.
struct Host {
  std::string name;
  bool accepts = true;  // false: configured to take nobody
  uint32_t keeper_gate_abi = 0;
  std::vector<std::string> cpu_features;
  std::vector<uint32_t> cpus;   // ids that a guest may be pinned to, ascending
  uint64_t free_bytes = 0;      // MemAvailable
  uint64_t reserved_bytes = 0;  // promised to guests that have just been admitted
  uint64_t headroom_bytes = 0;  // left to the host
  GuestLimits limits;
  GuestCounts guests;
};

// nullopt: welcome.
std::optional<Reason> refuse_offer(const Offer& offer, const Host& host);

// Whether the two nodes may speak to each other at all. `peer` is what the other one says in hello.
std::optional<Reason> refuse_protocol(uint32_t own, uint32_t peer);

}  // namespace om::migrator
