// SPDX-License-Identifier: Apache-2.0
#include "migrator/processes/usage.h"

#include <unistd.h>

#include <algorithm>

#include "common/base/text.h"
#include "common/proc/proc_file.h"
#include "common/proc/process.h"
#include "common/proc/stat.h"

namespace om::migrator {
namespace {

constexpr size_t kMostThreads = 16;  // that are read of one process

uint64_t ticks_to_ms(uint64_t ticks) {
  static const auto per_second = static_cast<uint64_t>(::sysconf(_SC_CLK_TCK));
  return ticks * 1000 / per_second;
}

uint64_t pages_to_bytes(int64_t pages) {
  static const auto size = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  return pages > 0 ? static_cast<uint64_t>(pages) * size : 0;
}

std::optional<uint64_t> read_switches(pid_t tid) {
  const auto text = proc::read_proc(tid, "status");
  return text ? parse_switches(*text) : std::nullopt;
}

// Evenly from all threads.
void read_threads(pid_t pid, Usage& usage) {
  const auto tids = proc::list_tasks(pid);
  if (!tids) return;
  const size_t step = (tids->size() + kMostThreads - 1) / kMostThreads;
  size_t read = 0, running = 0;
  uint64_t switches = 0;
  for (size_t i = 0; i < tids->size(); i += step) {
    const auto stat = proc::read_stat((*tids)[i]);
    if (!stat) continue;
    ++read;
    running += stat->state == 'R' ? 1 : 0;
    switches += read_switches((*tids)[i]).value_or(0);
  }
  if (read == 0) return;
  usage.running = static_cast<double>(running * tids->size()) / static_cast<double>(read);
  usage.switches = switches * tids->size() / read;
}

}  // namespace

std::optional<uint64_t> parse_switches(std::string_view status) {
  constexpr std::string_view kName = "voluntary_ctxt_switches:";
  while (!status.empty()) {
    const std::string_view line = take_line(status);
    uint64_t number = 0;
    if (line.starts_with(kName) && parse_number(trim(line.substr(kName.size())), number))
      return number;
  }
  return std::nullopt;
}

Result<Usage> read_usage(pid_t pid, bool closely) {
  const proc::Stat stat = OM_TRY(proc::read_stat(pid));
  Usage usage;
  usage.id = {pid, stat.starttime};
  usage.cpu_ms = ticks_to_ms(stat.utime + stat.stime);
  usage.system_ms = ticks_to_ms(stat.stime);
  usage.faults = stat.minflt;
  usage.rss_bytes = pages_to_bytes(stat.rss);
  usage.threads = static_cast<uint32_t>(std::clamp<int64_t>(stat.num_threads, 0, UINT32_MAX));
  usage.running = stat.state == 'R' ? 1 : 0;
  if (!closely) return usage;
  if (usage.threads > 1) {
    read_threads(pid, usage);
  } else {
    usage.switches = read_switches(pid);
  }
  return usage;
}

}  // namespace om::migrator
