// SPDX-License-Identifier: Apache-2.0
//
// What the processes of this node do: when each is to be read again, and what follows from two readings. Times and
// readings go in, figures come out (migrator/processes/sampler.h reads). One that has used CPU lately is read every
// kActiveEvery, and closely every kCloselyEvery; the others every kIdleEvery, spread over the time in between.
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include <map>
#include <optional>
#include <vector>

#include "common/base/clock.h"
#include "common/proc/process_id.h"
#include "migrator/processes/usage.h"

namespace om::migrator {

// What the deputy of a process that is away says about its body.
struct AwayUsage {
  MonotonicTime received;  // when it said so
  uint64_t cpu_ms = 0;     // of this body
  uint64_t calls = 0;      // that were forwarded, ever
  uint64_t rss_bytes = 0;
  uint32_t threads = 0;
};

struct Activity {
  // Share of CPUs over the last interval, 1 is one whole CPU; nullopt: there were not two readings yet.
  std::optional<double> cpu;
  double running = 0;  // threads that run or could, smoothed; at least `cpu`
  uint64_t rss_bytes = 0;
  uint64_t cpu_ms = 0;  // ever, here and away
  // Forwarded calls per second of CPU time: counted away, at home an estimate of what they would be.
  double calls_per_cpu_s = 0;
};

class Activities {
 public:
  static constexpr Milliseconds kActiveFor{5000};  // since it last used CPU
  static constexpr Milliseconds kActiveEvery{500}, kCloselyEvery{1000}, kIdleEvery{5000};
  // A second of CPU time has so many calls that would be forwarded if all of it was spent in the kernel, less what page
  // faults take, which are served where the program runs.
  static constexpr double kCallsPerSystemSecond = 200'000, kFaultSeconds = 0.7e-6;

  struct Due {
    ProcessId id;
    bool closely = false;
  };

  // These are there, the others are forgotten. Those that are new are due at once.
  void set_members(MonotonicTime now, const std::vector<ProcessId>& members);
  // Whom to read now; they are due again after their interval.
  std::vector<Due> due(MonotonicTime now);
  // Of those that are not away, who has used CPU lately or is new.
  std::vector<pid_t> active(MonotonicTime now) const;

  // Readings of processes that are no members are ignored.
  void take(MonotonicTime now, const Usage& usage);
  // The process is away, until the next set_members(); the same report may be given twice.
  void take_away(MonotonicTime now, const ProcessId& process, const AwayUsage& usage);

  // nullptr: not read yet.
  const Activity* find(const ProcessId& process) const;

 private:
  // From when a rate is counted: long enough that clock ticks do not matter.
  struct Anchor {
    MonotonicTime time;
    uint64_t cpu_ms = 0, system_ms = 0, faults = 0, events = 0;  // events: switches or calls
  };
  struct Entry {
    MonotonicTime due;
    MonotonicTime closely_due;
    MonotonicTime last_used;             // CPU; at first, when it became known
    bool away = false;                   // now
    bool counts_body = false;            // so was the last reading
    uint64_t away_ms = 0;                // CPU time of bodies that have ended
    uint64_t body_ms = 0;                // of the present one
    uint64_t home_ms = 0;                // read at home
    MonotonicTime read;                  // the last reading
    std::optional<uint64_t> counted_ms;  // cpu_ms then
    std::optional<Anchor> anchor;
    std::optional<Activity> activity;
  };

  static void measure(Entry& entry, MonotonicTime time, uint64_t counted_ms, double running);
  static bool long_enough(const Anchor& anchor, MonotonicTime now, uint64_t cpu_ms);
  static bool is_active(const Entry& entry, MonotonicTime now);

  std::map<ProcessId, Entry> entries_;
};

}  // namespace om::migrator
