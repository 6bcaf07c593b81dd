// SPDX-License-Identifier: Apache-2.0
//
// Looks at processes on threads of the pool, so that the loop goes on: one scan for all who wait for it, at most one
// every 500 ms (nobody gets an answer older than his question); single processes one after the other, each user in his
// turn. What was found of a program is kept as long as it runs (pid, start time, where exec has put its stack); that it
// is none of ours is looked at again, less and less often, as libom may be loaded later. All functions are for the
// loop's thread.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "common/base/clock.h"
#include "common/uv/loop.h"
#include "migrator/processes/process_table.h"

namespace om::migrator {

class Census {
 public:
  static constexpr Milliseconds kPeriod{500};  // of scans, from one's beginning to the next one's

  using Membership = ProcessTable::Membership;
  using Look = std::function<Membership(pid_t)>;
  using Others = std::function<std::vector<ProcessId>()>;
  using OnScan = std::function<void(const std::vector<ProcessInfo>& found)>;
  using OnLook = std::function<void(Membership)>;

  // `look` is called on threads of the pool, from two of them at the same time; `others` says, on the loop's thread,
  // which processes a scan describes whatever they are.
  Census(Loop& loop, const Clock& clock, Look look, Others others);
  ~Census();

  // All members and the others, ascending by pid.
  void scan(OnScan done);
  // Of one process, for a user who asks.
  void look(uid_t asker, pid_t pid, OnLook done);

  // For the tests.
  uint64_t scans() const { return scans_; }

 private:
  // Which program a process runs: another one after each exec.
  struct Image {
    ProcessId process;
    uint64_t code = 0, stack = 0, arguments = 0, environment_end = 0;
    bool operator==(const Image&) const = default;
  };
  struct Known {
    Image image;
    Membership membership = Membership::kGone;
    Milliseconds again{0};  // for how long it is believed; 0: as long as it runs
    MonotonicTime looked;
    bool seen = true;  // by this scan
  };
  // What both threads use.
  struct Memory {
    std::mutex mutex;
    std::map<pid_t, Known> known;
    int jobs = 0;  // on the pool or waiting for it
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
  // `settled`: what may change is looked at anew.
  // `work` uses what the owner of this object has given: it ends before this object.
  void run(std::function<void()> work, std::function<void()> done);
  static Membership membership(const Tools& tools, pid_t pid, bool settled);
  void plan_scan();
  void start_scan();
  void next_look();

  Loop& loop_;
  const Clock& clock_;
  Tools tools_;
  Others others_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for what comes back from the pool

  std::vector<OnScan> waiting_;
  bool scanning_ = false;  // or about to
  uint64_t scans_ = 0;
  MonotonicTime started_;  // the last one
  Timer pause_;

  std::map<uid_t, std::deque<Question>> questions_;
  uid_t last_asker_ = 0;
  bool looking_ = false;
};

}  // namespace om::migrator
