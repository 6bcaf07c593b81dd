// SPDX-License-Identifier: Apache-2.0
#include "common/proc/stat.h"

#include "common/proc/proc_file.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>

namespace om::proc {
namespace {

class FieldReader {
 public:
  explicit FieldReader(std::string_view rest) : rest_(rest) {}
  template <class... T>
  bool read(T&... out) {
    return (parse_number(take_field(rest_), out) && ...);
  }
  bool read_letter(char& out) {
    std::string_view field = take_field(rest_);
    if (field.size() != 1) return false;
    out = field[0];
    return true;
  }

 private:
  std::string_view rest_;
};

// Pins the calling thread to one CPU and restores its affinity at the end. Does nothing for a CPU that it may not use,
// or on machines with more CPUs than cpu_set_t holds.
class OnCpu {
 public:
  explicit OnCpu(int cpu) {
    cpu_set_t one;
    CPU_ZERO(&one);
    if (cpu < 0 || cpu >= CPU_SETSIZE || ::sched_getaffinity(0, sizeof before_, &before_) != 0)
      return;
    CPU_SET(static_cast<size_t>(cpu), &one);
    moved_ = ::sched_setaffinity(0, sizeof one, &one) == 0;
  }
  ~OnCpu() {
    if (moved_) ::sched_setaffinity(0, sizeof before_, &before_);
  }
  OnCpu(const OnCpu&) = delete;
  OnCpu& operator=(const OnCpu&) = delete;

 private:
  cpu_set_t before_;
  bool moved_ = false;
};

}  // namespace

bool Stat::is_ending() const {
  constexpr uint32_t kPfExiting = 4;
  return state == 'Z' || state == 'X' || (flags & kPfExiting) != 0;
}

Result<Stat> parse_stat(std::string_view text) {
  Stat s;
  // The name is between the first "(" and the last ")"; it may itself contain both.
  size_t open = text.find(" (");
  size_t close = text.rfind(") ");
  if (open == std::string_view::npos || close == std::string_view::npos || close < open + 2 ||
      !parse_number(text.substr(0, open), s.pid)) {
    return bad_text("stat", text);
  }
  s.comm = text.substr(open + 2, close - open - 2);
  text.remove_prefix(close + 2);
  FieldReader in(text.substr(0, text.find('\n')));
  bool good = in.read_letter(s.state);
  good = good && in.read(s.ppid, s.pgrp, s.session, s.tty_nr, s.tpgid, s.flags);
  good = good &&
         in.read(s.minflt, s.cminflt, s.majflt, s.cmajflt, s.utime, s.stime, s.cutime, s.cstime);
  good = good && in.read(s.priority, s.nice, s.num_threads, s.itrealvalue, s.starttime, s.vsize,
                         s.rss, s.rsslim);
  good = good && in.read(s.startcode, s.endcode, s.startstack, s.kstkesp, s.kstkeip);
  good = good && in.read(s.signal, s.blocked, s.sigignore, s.sigcatch, s.wchan, s.nswap, s.cnswap);
  good =
      good && in.read(s.exit_signal, s.processor, s.rt_priority, s.policy, s.delayacct_blkio_ticks);
  good = good && in.read(s.guest_time, s.cguest_time, s.start_data, s.end_data, s.start_brk);
  good = good && in.read(s.arg_start, s.arg_end, s.env_start, s.env_end, s.exit_code);
  if (!good) return bad_text("stat", text);
  return s;
}

Result<Stat> read_stat(pid_t pid) { return parse_stat(OM_TRY(read_proc(pid, "stat"))); }

Result<double> parse_sched_exec_start(std::string_view text) {
  while (!text.empty()) {
    std::string_view line = take_line(text);
    size_t colon = line.find(':');
    if (colon == std::string_view::npos || trim(line.substr(0, colon)) != "se.exec_start") continue;
    double milliseconds = 0;
    if (!parse_number(trim(line.substr(colon + 1)), milliseconds)) return bad_text("sched", line);
    return milliseconds;
  }
  return Error{EBADMSG, "sched: no se.exec_start"};
}

Result<double> read_sched_exec_start(pid_t tid) {
  return parse_sched_exec_start(OM_TRY(read_proc(tid, "sched")));
}

Result<double> read_milliseconds_since_run(pid_t tid) {
  Stat stat = OM_TRY(read_stat(tid));
  OnCpu there(stat.processor);
  double last = OM_TRY(read_sched_exec_start(tid));
  // The caller's own value is as old as its last tick, up to 10 ms, unless it calls the scheduler.
  ::sched_yield();
  double now = OM_TRY(read_sched_exec_start(::gettid()));
  return std::max(0.0, now - last);
}

}  // namespace om::proc
