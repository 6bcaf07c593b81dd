// SPDX-License-Identifier: Apache-2.0
//
// Examines processes on threads of the pool, so that the loop is not held up. One scan serves all callers that wait for
// it, with at most one every 500 ms (and no answer older than its request); a survey only says which processes are
// ours, and trusts for up to ten seconds what is known; single processes are looked at one after the other, users in
// turn. Results are kept as long as the program runs (pid, start time, where exec put its stack),
// but a process that is not ours is looked at again, less and less often, as libom may be loaded later. All functions
// are for the loop's thread.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/uv/loop.h"
#include "migrator/processes/process_table.h"

namespace om::migrator {

class Census {
 public:
  static constexpr Milliseconds kPeriod{500};  // between the starts of two scans

  using Membership = ProcessTable::Membership;
  using Look = std::function<Membership(pid_t)>;
  using Others = std::function<std::vector<ProcessId>()>;
  using OnScan = std::function<void(const std::vector<ProcessInfo>& found)>;
  using OnSurvey = std::function<void(std::vector<ProcessId> members)>;
  using OnLook = std::function<void(Membership)>;

  // `look` is called on threads of the pool, by two of them at a time; `others`, called on the loop's thread, returns
  // processes that a scan describes whatever they are.
  Census(Loop& loop, const Clock& clock, Look look, Others others);
  ~Census();

  // Finds all members and the others, ascending by pid.
  void scan(OnScan done);
  // Finds all members: reads only /proc itself, and of the processes those that are new or have not been read for a
  // while. If no process was started since the last one, that one's answer may be given again, for up to five seconds.
  // So a process that has ended, or a pid that was used again, may be among them.
  void survey(OnSurvey done);
  // Looks at one process, on behalf of a user.
  void look(uid_t asker, pid_t pid, OnLook done);

  // For the tests.
  uint64_t scans() const { return scans_; }

 private:
  // Identifies the program that a process runs: changes with each exec.
  struct Image {
    ProcessId process;
    uint64_t code = 0, stack = 0, arguments = 0, environment_end = 0;
    bool operator==(const Image&) const = default;
  };
  struct Known {
    Image image;
    Membership membership = Membership::kGone;
    Milliseconds again{0};  // how long it stays valid; 0: as long as it runs
    MonotonicTime looked;
    uint64_t seen = 0;  // by which scan or survey
    // A survey takes it for unchanged until then, longer each time.
    MonotonicTime unchanged_until;
    Milliseconds pause{0};
  };
  // Shared by both threads.
  struct Memory {
    std::mutex mutex;
    std::map<pid_t, Known> known;
    uint64_t passes = 0;  // scans and surveys that have begun
    // The last survey that read /proc.
    std::vector<ProcessId> surveyed;
    std::string survey_newest;         // newest_process() before it; empty: unknown
    MonotonicTime survey_holds_until;  // unless a process is started
    int jobs = 0;                      // in the pool or waiting for it
    std::condition_variable ended;
    std::atomic<bool> stop = false;
  };
  struct Question {
    pid_t pid;
    OnLook done;
  };

  struct Tools {
    std::shared_ptr<Memory> memory;
    Look look;
    const Clock& clock;
  };
  static std::vector<ProcessInfo> scan_all(const Tools& tools,
                                           const std::vector<ProcessId>& others);
  static std::vector<ProcessId> survey_all(const Tools& tools);
  static std::vector<ProcessId> survey_anew(const Tools& tools);
  // One pass over all processes: what it has not seen is forgotten at its end.
  static uint64_t begin_pass(Memory& memory);
  static void end_pass(Memory& memory, uint64_t pass);
  // Runs `work` in the pool. It uses what this object's owner provided, so it ends before this object does.
  void run(std::function<void()> work, std::function<void()> done);
  // `settled`: looks again at results that may have changed.
  static Membership membership(const Tools& tools, pid_t pid, bool settled);
  void plan_scan();
  void start_scan();
  void next_look();

  Loop& loop_;
  const Clock& clock_;
  Tools tools_;
  Others others_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for callbacks from the pool

  std::vector<OnScan> waiting_;
  bool scanning_ = false;  // or about to scan
  uint64_t scans_ = 0;
  MonotonicTime started_;  // start of the last scan
  Timer pause_;

  std::map<uid_t, std::deque<Question>> questions_;
  uid_t last_asker_ = 0;
  bool looking_ = false;
};

}  // namespace om::migrator
