// SPDX-License-Identifier: Apache-2.0
//
// What /proc says of the body that a keeper has started: what it uses, and what runs in it.
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include <optional>
#include <string>

namespace om::migrator {

struct GuestBody {
  pid_t pid = 0;        // on this node
  std::string command;  // as home's comm; empty: not known yet
  uint32_t threads = 0;
  uint64_t rss_bytes = 0;
  uint64_t cpu_ms = 0;
  uint64_t age_ms = 0;  // since it came
};

// nullopt: the keeper has none yet, or has ended.
std::optional<GuestBody> body_of(pid_t keeper);

}  // namespace om::migrator
