// SPDX-License-Identifier: Apache-2.0
//
// The file in the state directory that lists the deputies and keepers of this node, one JSON line each:
// {"role":"deputy","pid":..,"start":..,"about":..,"at":..}. They outlive the daemon on purpose; the file lets a
// restarted daemon count them and `om cluster dev stop` end them. For a process that is away it holds what another
// deputy needs if daemon and deputy die together: the keys of its session, so nobody else may read the file. It is
// rewritten as a whole (write, rename), so that a reader never sees half of it. Any user's deputy can cause any number
// of changes, so it is written at most ten times a second, with all pending changes. Most changes may wait a moment;
// when_written() is for those that a later daemon must find.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/own_directory.h"
#include "common/proc/process_id.h"
#include "common/uv/loop.h"
#include "migrator/moves/deputy_wire.h"

namespace om::migrator {

class ChildList {
 public:
  struct Entry {
    std::string role;  // "deputy" or "keeper"
    pid_t about = 0;   // the process, at its home
    std::string
        at;  // deputy: last known place of the process, empty: home; keeper: home of its guest
    uint64_t about_start = 0;              // deputy: start_ticks of the process
    std::optional<DeputySession> session;  // deputy: while the process is away or on its way
    bool moving = false;                   // the process is on its way
    uid_t uid = 0;                         // keeper: of the guest, at its home
  };

  // Reads what an earlier daemon left. Drops children that have ended, except dead deputies of processes that are away.
  ChildList(Loop& loop, const OwnDirectory& state);
  ~ChildList();  // writes pending changes
  ChildList(const ChildList&) = delete;
  ChildList& operator=(const ChildList&) = delete;

  void add(const ProcessId& process, Entry entry);
  void remove(const ProcessId& process);
  // Drops children of an earlier daemon that have ended unnoticed. Retries writing the file if that has failed.
  void prune();
  // For a deputy; nullopt: its process is at home.
  void set_session(const ProcessId& process, const std::optional<DeputySession>& session,
                   bool moving);
  // The same, and sets where the process is: "" for home.
  void set_place(const ProcessId& process, const std::string& at,
                 const std::optional<DeputySession>& session);
  // Writes the changes so far as soon as the rate limit permits, then calls `run`, even if writing failed: now or
  // later, but never if the list is destroyed first.
  void when_written(std::function<void()> run);
  // The living deputy of the process `about`; nullptr if there is none.
  const std::pair<const ProcessId, Entry>* deputy_of(pid_t about) const;
  bool is_deputy(pid_t pid) const;               // alive
  uint64_t written() const { return written_; }  // how many times
  const std::map<ProcessId, Entry>& entries() const { return entries_; }

 private:
  void save();
  void write();
  void write_file();
  // When the file may be written again.
  MonotonicTime next(MonotonicTime now);
  void write_at(MonotonicTime time, MonotonicTime now);

  static constexpr size_t kWritesPerSecond = 10;
  static constexpr Milliseconds kLater{250};

  const OwnDirectory& state_;
  std::deque<MonotonicTime> writes_;  // the latest ones
  Timer later_;
  bool changed_ = false;  // not yet written; later_ is then running
  std::vector<std::function<void()>> for_written_;
  std::string problem_;  // error of the last write
  uint64_t written_ = 0;
  std::map<ProcessId, Entry> entries_;
};

}  // namespace om::migrator
