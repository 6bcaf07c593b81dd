// SPDX-License-Identifier: Apache-2.0
//
// Ranges of user ids that belong to nobody, and whether a user has processes.
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include <string>
#include <string_view>

#include "common/base/result.h"

namespace om::proc {

struct UserRange {
  uid_t first = 0, last = 0;  // both included

  static constexpr uint32_t kMost = 65536;  // ids in a range

  // "60100-60999". Error if it is no range, has more than kMost ids, or holds 0, 65534 (nobody, and whoever is unknown
  // in a user namespace) or the two highest ids, which mean "no user" to some calls.
  static Result<UserRange> parse(std::string_view text);

  uint32_t size() const { return last - first + 1; }
  bool contains(uid_t uid) const { return first <= uid && uid <= last; }
  std::string text() const;
  bool operator==(const UserRange&) const = default;
};

// Whether a process in this PID namespace, also one that has ended and is not reaped, has this real user id.
bool user_has_processes(uid_t uid);

// Threads that all guests together may have if nothing else is said: a quarter of those that this kernel can have
// remain for others. RLIM_INFINITY if the kernel does not say.
uint64_t usual_most_threads();

}  // namespace om::proc
