// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <kj/async.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "common/movable/reasons.h"
#include "deputy/session/link.h"

namespace om::deputy {

// What the deputy asks of its surroundings (om-migrator, by main.cc).
struct Surroundings {
  // Asks the target to admit the process and start a keeper. Resolves to nullopt if it did, else to the reason.
  std::function<kj::Promise<std::optional<Reason>>(const std::string& to, const SessionKeys& keys,
                                                   uint16_t port, nlohmann::json offer)>
      need_guest;
  // Where the process is now: for `om ps`.
  std::function<void(const std::string& at, const std::string& state)> state;
  // What another deputy would need to take over.
  std::function<void(const std::string& at, const SessionKeys& keys, uint16_t port)> session;
  // Something for `om events`.
  std::function<void(ReasonCode code, const std::string& message)> note;
  std::function<void(nlohmann::json stats)> stats;
};

}  // namespace om::deputy
