// SPDX-License-Identifier: Apache-2.0
//
// /proc/PID/stat, all 52 fields with the order and names of proc(5), and se.exec_start of /proc/TID/sched, which tells
// how long a thread has been inside a blocking call.
//
// Times are in clock ticks (sysconf(_SC_CLK_TCK)), sizes as noted. Addresses read as zero without ptrace rights on the
// process.
#pragma once

#include <stdint.h>

#include <string>
#include <string_view>

#include "common/base/text.h"

namespace om::proc {

struct Stat {
  pid_t pid = 0;
  std::string comm;  // may hold blanks, parentheses and newlines
  char state = '?';
  pid_t ppid = 0, pgrp = 0, session = 0;
  int32_t tty_nr = 0, tpgid = 0;
  uint32_t flags = 0;  // the kernel's PF_*
  uint64_t minflt = 0, cminflt = 0, majflt = 0, cmajflt = 0;
  uint64_t utime = 0, stime = 0;
  int64_t cutime = 0, cstime = 0;
  int64_t priority = 0, nice = 0, num_threads = 0, itrealvalue = 0;
  uint64_t starttime = 0;  // ticks since boot; with the pid it identifies a process for good
  uint64_t vsize = 0;      // bytes
  int64_t rss = 0;         // pages
  uint64_t rsslim = 0;
  uint64_t startcode = 0, endcode = 0, startstack = 0, kstkesp = 0, kstkeip = 0;
  uint64_t signal = 0, blocked = 0, sigignore = 0, sigcatch = 0;  // obsolete, low 31 signals
  uint64_t wchan = 0, nswap = 0, cnswap = 0;
  int32_t exit_signal = 0, processor = 0;
  uint32_t rt_priority = 0, policy = 0;
  uint64_t delayacct_blkio_ticks = 0;
  uint64_t guest_time = 0;
  int64_t cguest_time = 0;
  uint64_t start_data = 0, end_data = 0, start_brk = 0;
  uint64_t arg_start = 0, arg_end = 0, env_start = 0, env_end = 0;
  int32_t exit_code = 0;

  // Whether the thread has ended or is exiting: it gives its memory back first, and may block after that.
  bool is_ending() const;
};

Result<Stat> parse_stat(std::string_view text);
Result<Stat> read_stat(pid_t pid);

// se.exec_start in milliseconds of the scheduler clock: when the thread last ran. Every CPU has its own clock, which
// leaves out the time taken by interrupts and the hypervisor: on one virtual machine two of them were 76 ms apart after
// two hours. Compare only values of one CPU. ENOENT if the kernel has no /proc/PID/sched.
Result<double> parse_sched_exec_start(std::string_view text);
Result<double> read_sched_exec_start(pid_t tid);

// How long ago, in milliseconds, a sleeping thread last ran; about 0 for a running one. Reads both clocks on the
// thread's CPU, to which the caller briefly moves; if it may not run there, the result is off by the difference between
// the two CPUs' clocks. ENOENT as above.
Result<double> read_milliseconds_since_run(pid_t tid);

}  // namespace om::proc
