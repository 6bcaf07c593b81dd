// SPDX-License-Identifier: Apache-2.0
//
// Control groups for guests: one for all guests of this node, and in it one for each keeper with its body. Version 2 if
// the group that the daemon is in is delegated to it, version 1 if its user may make groups there; a controller that
// neither has is not used. What the groups hold is a backstop: guests are sent home before they reach their memory
// limit (guest/memory_watch.h). Groups are not recorded: those that are empty, also an earlier daemon's, are removed by
// sweep().
#pragma once

#include <stdint.h>

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "migrator/peers/guest_resources.h"

namespace om::migrator {

class GuestGroups {
 public:
  // A controller, and the folder of the group that the daemon's groups are made in.
  struct Place {
    std::string controller;  // "memory", "pids", "cpu"
    std::string folder;
    bool second = false;
  };
  // Threads that the group of a guest has room for beside the body's: its keeper's.
  static constexpr uint32_t kKeeperThreads = 16;

  // Finds out what this process may use, by trying. name: of the node's group, a file name; the same for a later daemon
  // of the node. Nothing is made if `limits` need no groups.
  static GuestGroups find(const std::string& name, const GuestResources& limits);
  // For places that are known. Makes the group of all guests; a place where that fails is left out.
  GuestGroups(std::vector<Place> places, const std::string& name, const GuestResources& limits);
  GuestGroups() = default;

  // Makes the group of a new guest. Returns the files that a process writes "0" to in order to enter it; none if there
  // are no groups. `key`: file name, of no other guest.
  Result<std::vector<std::string>> make(const std::string& key);
  // Removes groups that have no process, except those of `keep`.
  void sweep(const std::set<std::string>& keep);
  // Removes the group of all guests too, if it is empty.
  void leave();

  // "v2", "v1" or "none"
  std::string kind() const;
  bool has(std::string_view controller) const;
  // Hard limit of a guest's group for a limit of `bytes`: room for a body that grows while it is being sent home.
  static uint64_t hard_limit(uint64_t bytes);

 private:
  struct Group {
    std::string controller, folder;
    bool second;
  };
  Result<void> limit(const Group& group, const std::string& folder, bool all) const;

  GuestResources limits_;
  std::vector<Group> groups_;
};

}  // namespace om::migrator
