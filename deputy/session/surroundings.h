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
#include "deputy/session/link.h"

namespace om::deputy {

// What the target is told of a process that wants to come, as far as it is the deputy's to say (wire::Offer).
struct Offer {
  uint32_t keeper_gate_abi = 0;
  pid_t pid = 0;
  uid_t uid = 0;
  std::string command;
  uint64_t memory_bytes = 0;
  uint32_t threads = 0;
  uint32_t cpus = 0;  // highest CPU id of home + 1
  std::vector<std::string> cpu_features;
};

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
  std::function<kj::Promise<std::optional<Reason>>(const std::string& to, const SessionKeys& keys,
                                                   uint16_t port, const Offer& offer)>
      need_guest;
  // Where the process is now: for `om ps`.
  std::function<void(const std::string& at, wire::State state)> state;
  // What another deputy would need to take over.
  std::function<void(const std::string& at, const SessionKeys& keys, uint16_t port)> session;
  // Something for `om events`.
  std::function<void(ReasonCode code, const std::string& message)> note;
  // Every second while the process is away.
  std::function<void(const Stats& stats)> stats;
};

}  // namespace om::deputy
