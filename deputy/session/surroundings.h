// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <kj/async.h>

#include <stdint.h>
#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/movable/reasons.h"
#include "common/schema/deputy.capnp.h"
#include "common/schema/offer.h"
#include "deputy/session/link.h"

namespace om::deputy {

// Of a body, and how many calls it has had executed at home.
struct Stats {
  uint64_t cpu_ms = 0;
  uint64_t rss_bytes = 0;
  uint32_t threads = 0;
  uint64_t calls = 0;
};

// What the deputy asks of its surroundings (om-migrator, by main.cc).
struct Surroundings {
  // Asks the target to admit the process and start a keeper. Resolves to nullopt if it did, else to the reason.
  std::function<kj::Promise<std::optional<Reason>>(const std::string& to, const SessionTerms& terms,
                                                   LinkWire wire, uint16_t port,
                                                   const OfferedProcess& process)>
      need_guest;
  // Where the process is now: for `om ps`.
  std::function<void(const std::string& at, wire::State state)> state;
  // What another deputy would need to take over.
  std::function<void(const std::string& at, const SessionTerms& terms, uint16_t port)> session;
  // Something for `om events`.
  std::function<void(ReasonCode code, const std::string& message)> note;
  // Every second while the process is away.
  std::function<void(const Stats& stats)> stats;
};

}  // namespace om::deputy
