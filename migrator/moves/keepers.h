// SPDX-License-Identifier: Apache-2.0
//
// The keepers of the guests on this node: starts one om-guest for every admitted offer, counts them, reaps them.
// Session and secret are passed on the keeper's stdin, where no other user sees them. A keeper has a session of its own
// and outlives this daemon.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/result.h"
#include "common/proc/namespaces.h"
#include "common/uv/child.h"
#include "common/uv/loop.h"
#include "migrator/moves/child_list.h"
#include "migrator/moves/guest_groups.h"
#include "migrator/moves/guest_users.h"
#include "migrator/peers/admission.h"
#include "migrator/peers/offer.h"
#include "migrator/processes/events.h"

namespace om::migrator {

class Keepers {
 public:
  // How long the memory of a new guest counts as used although it is still free.
  static constexpr Milliseconds kReservation{10000};

  struct Settings {
    std::string node;
    uint64_t headroom = 0;         // bytes of memory reserved for the host
    GuestUsers::Settings users{};  // if this daemon is root
    proc::Isolation namespaces = proc::Isolation::kTry;
    GuestResources resources{};
    std::string group{};  // name of the control group of all guests
  };
  Keepers(Loop& loop, const Clock& clock, Settings settings, ChildList& children, Events& events);
  ~Keepers();  // keepers go on

  // Forks off the loop; calls `done` from the loop when the keeper runs and is recorded, or with the failure.
  void start(const Offer& offer, std::function<void(Result<void>)> done);
  uint32_t count() const { return counts_for(Offer{}).in_all; }
  // Counts all keepers, including those being started and those of an earlier daemon. A keeper counts as soon as
  // start() returns, so a caller that checks and starts in the same turn of the loop cannot exceed the limits.
  GuestCounts counts_for(const Offer& offer) const;
  uint64_t reserved_bytes() const;
  // Kills the keepers of all guests from this home, also those of an earlier daemon; the guests end with them.
  void end_guests_of(const std::string& home);
  struct Guest {
    ProcessId keeper;   // pid 0: being started
    pid_t at_home = 0;  // its pid there
    std::string home;
    uid_t uid = 0;  // its owner, at home
  };
  // All of them, also those of earlier daemons.
  std::vector<Guest> guests() const;
  // Has the homes of all guests take them back, by asking their keepers; or that of one.
  void send_home();
  static void send_home(const ProcessId& keeper);
  // Those that run; each has its guest's body as a child.
  std::vector<pid_t> pids() const;
  // What the bodies of all of them have now. Looks at each in /proc.
  GuestUsage usage() const;
  // Removes the control groups of guests that have ended. Cheap if there are none.
  void tidy();
  const GuestUsers& users() const { return users_; }
  const GuestResources& resources() const { return settings_.resources; }
  const GuestGroups& groups() const { return groups_; }
  // "4711 of n1" for the guest whose body is process `body` here, or whose pid at home is `at_home`; empty if there is
  // none.
  std::string guest_with_body(pid_t body) const;
  std::string guest_from(pid_t at_home) const;

 private:
  struct Keeper {
    std::unique_ptr<Child> child;
    ProcessId id;     // pid 0: being started
    pid_t guest = 0;  // pid at its home
    std::string home;
    uid_t uid = 0;  // of the guest, at its home
    uint64_t memory_bytes = 0;
    MonotonicTime started;
    std::optional<GuestUsers::Owner> owner;  // that it runs as
    std::string group;                       // name of its control group
  };
  static std::string name_of(const Keeper& keeper);
  Result<ChildSpec> describe(const Offer& offer) const;
  void forget(uint64_t number);
  void on_started(uint64_t number, Result<pid_t> pid,
                  const std::function<void(Result<void>)>& done);
  void on_exit(uint64_t number, int64_t code, int signal);

  Loop& loop_;
  const Clock& clock_;
  const Settings settings_;
  ChildList& children_;
  Events& events_;
  GuestUsers users_;
  GuestGroups groups_;
  uint64_t last_number_ = 0;
  std::map<uint64_t, Keeper> keepers_;
};

}  // namespace om::migrator
