// SPDX-License-Identifier: Apache-2.0
//
// The file in the state directory that names the deputies and keepers of this node, one JSON line each:
// {"role":"deputy","pid":..,"start":..,"about":..,"at":..}. They outlive the daemon on purpose; the file lets a
// restarted daemon count them and lets `om cluster dev stop` end them. Of a process that is away it has what another
// deputy needs, should daemon and deputy die together: the keys of its session, so nobody else may read the file.
// Rewritten as a whole (write, rename), so that a reader never sees half of it. Anybody's deputy may cause as many
// changes as it likes: it is written ten times a second at most, everybody's changes together. Most changes may wait a
// moment; what another one must find is asked for by when_written().
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
        at;  // deputy: where the process was last, empty: at home; keeper: the home of its guest
    uint64_t about_start = 0;              // deputy: start_ticks of the process
    std::optional<DeputySession> session;  // deputy: while the process is away or on its way
    bool moving = false;                   // it is on its way
    uid_t uid = 0;                         // keeper: of the guest, at its home
  };

  // Reads what an earlier daemon left, without those that have ended, but with dead deputies of processes that are
  // away.
  ChildList(Loop& loop, const OwnDirectory& state);
  ~ChildList();  // writes what has not been written
  ChildList(const ChildList&) = delete;
  ChildList& operator=(const ChildList&) = delete;

  void add(const ProcessId& process, Entry entry);
  void remove(const ProcessId& process);
  // Forgets those that have ended unseen: children of an earlier daemon. Tries again to write the file if that
  // has failed.
  void prune();
  // Of a deputy; nullopt: its process is at home.
  void set_session(const ProcessId& process, const std::optional<DeputySession>& session,
                   bool moving);
  // The same, and where the process is: "" for home.
  void set_place(const ProcessId& process, const std::string& at,
                 const std::optional<DeputySession>& session);
  // Writes what has changed so far as soon as may be and calls `run` behind it, also if it could not be written: at
  // once or later, never if the list is destroyed before.
  void when_written(std::function<void()> run);
  // The living deputy of the process `about`; nullptr if there is none.
  const std::pair<const ProcessId, Entry>* deputy_of(pid_t about) const;
  bool is_deputy(pid_t pid) const;               // alive
  uint64_t written() const { return written_; }  // how often
  const std::map<ProcessId, Entry>& entries() const { return entries_; }

 private:
  void save();
  void write();
  void write_file();
  // When it may be written again.
  MonotonicTime next(MonotonicTime now);
  void write_at(MonotonicTime time, MonotonicTime now);

  static constexpr size_t kWritesPerSecond = 10;
  static constexpr Milliseconds kLater{250};

  const OwnDirectory& state_;
  std::deque<MonotonicTime> writes_;  // the last ones
  Timer later_;
  bool changed_ = false;  // and not written; then later_ runs
  std::vector<std::function<void()>> for_written_;
  std::string problem_;  // what was wrong when it was last written
  uint64_t written_ = 0;
  std::map<ProcessId, Entry> entries_;
};

}  // namespace om::migrator
