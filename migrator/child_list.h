// SPDX-License-Identifier: Apache-2.0
//
// The file in the state directory that names the deputies and keepers of this node, one JSON line each:
// {"role":"deputy","pid":..,"start":..,"about":..,"at":..}. They outlive the daemon on purpose; the file lets a
// restarted daemon count them and lets `om cluster dev stop` end them. Of a process that is away it has what another
// deputy needs, should daemon and deputy die together: the keys of its session, so nobody else may read the file.
// Rewritten as a whole (write, rename) at every change, so that a reader never sees half of it.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "common/own_directory.h"
#include "common/process_id.h"
#include "migrator/deputy_link.h"

namespace om::migrator {

class ChildList {
 public:
  struct Entry {
    std::string role;                      // "deputy" or "keeper"
    pid_t about = 0;                       // the process, at its home
    std::string at;                        // deputy: where the process was last; empty: at home
    uint64_t about_start = 0;              // deputy: start_ticks of the process
    std::optional<DeputySession> session;  // deputy: while the process is away or on its way
    bool moving = false;                   // it is on its way
  };

  // Reads what an earlier daemon left, without those that have ended, but with dead deputies of processes that are
  // away.
  explicit ChildList(const OwnDirectory& state);

  void add(const ProcessId& process, Entry entry);
  void remove(const ProcessId& process);
  // Forgets those that have ended unseen: children of an earlier daemon. Tries again to write the file if that
  // has failed.
  void prune();
  void set_at(const ProcessId& process, const std::string& at);
  // Of a deputy; nullopt: its process is at home.
  void set_session(const ProcessId& process, const std::optional<DeputySession>& session,
                   bool moving);
  // The living deputy of the process `about`; nullptr if there is none.
  const std::pair<const ProcessId, Entry>* deputy_of(pid_t about) const;
  const std::map<ProcessId, Entry>& entries() const { return entries_; }

 private:
  void save();

  const OwnDirectory& state_;
  std::string problem_;  // what was wrong when it was last written
  std::map<ProcessId, Entry> entries_;
};

}  // namespace om::migrator
