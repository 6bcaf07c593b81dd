// SPDX-License-Identifier: Apache-2.0
//
// The users that guests run as. A daemon of root's gives each guest, keeper and body, a user id of its own, so that
// none can send another a signal, look into its memory or use up its limits. Which ids are free is asked of the kernel,
// which also knows the guests of an earlier daemon and of other daemons.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "common/base/result.h"
#include "common/proc/users.h"

namespace om::migrator {

class GuestUsers {
 public:
  using Owner = std::pair<uid_t, gid_t>;
  struct Settings {
    std::optional<proc::UserRange>
        own;                   // each guest has one of them, and the group of the same number
    std::optional<Owner> one;  // all guests have this one; without `own`
  };
  // Neither of the two: guests run as the daemon's user. has_processes: as proc::user_has_processes().
  // start: where in the range it begins, so that daemons of one machine seldom try the same ids.
  explicit GuestUsers(Settings settings,
                      std::function<bool(uid_t)> has_processes = proc::user_has_processes,
                      uint32_t start = 0)
      : settings_(std::move(settings)), has_processes_(std::move(has_processes)), next_(start) {}

  // For a new guest; it is taken until give_back(). nullopt in the result: the daemon's own user. EUSERS if each id of
  // the range is taken or has a process.
  Result<std::optional<Owner>> take();
  // Its keeper has ended or was never started. While a process of that user remains, nobody gets the id.
  void give_back(const std::optional<Owner>& owner);
  // Whether take() would fail.
  bool used_up() const;

  // "each its own of 60100-60999", "all 65534", "the daemon's"
  std::string text() const;
  const std::optional<proc::UserRange>& range() const { return settings_.own; }

 private:
  std::optional<uid_t> next_free() const;

  Settings settings_;
  std::function<bool(uid_t)> has_processes_;
  uint32_t next_;  // offset in the range: an id rests as long as possible
  std::set<uid_t> taken_;
};

}  // namespace om::migrator
