// SPDX-License-Identifier: Apache-2.0
#include "migrator/load/topology.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "common/base/text.h"

namespace om::migrator {
namespace {

// The CPUs that share a core with `cpu`, itself included.
Result<std::vector<uint32_t>> core_of(
    uint32_t cpu, const std::function<Result<std::string>(uint32_t cpu)>& siblings) {
  const std::string text = OM_TRY(siblings(cpu));
  std::vector<uint32_t> list = OM_TRY(parse_cpu_list(text));
  if (!std::binary_search(list.begin(), list.end(), cpu))
    return bad_text("thread_siblings_list", text);
  return list;
}

}  // namespace

Result<std::vector<uint32_t>> parse_cpu_list(std::string_view text) {
  std::vector<uint32_t> cpus;
  std::string_view lines = text;
  std::string_view rest = lines.empty() ? lines : take_line(lines);
  while (!rest.empty()) {
    const size_t comma = std::min(rest.find(','), rest.size());
    const std::string_view item = rest.substr(0, comma);
    rest.remove_prefix(std::min(comma + 1, rest.size()));
    const size_t dash = item.find('-');
    uint32_t first = 0, last = 0;
    if (!parse_number(item.substr(0, dash), first)) return bad_text("list of CPUs", text);
    last = first;
    if (dash != item.npos && !parse_number(item.substr(dash + 1), last))
      return bad_text("list of CPUs", text);
    if (last < first || last >= kMostCpus || (!cpus.empty() && first <= cpus.back()))
      return bad_text("list of CPUs", text);
    for (uint32_t cpu = first; cpu <= last; ++cpu) cpus.push_back(cpu);
  }
  if (cpus.empty()) return bad_text("list of CPUs", text);
  return cpus;
}

CpuCounts count_cpus(std::span<const uint32_t> cpus,
                     const std::function<Result<std::string>(uint32_t cpu)>& siblings) {
  const auto threads = static_cast<uint32_t>(std::max<size_t>(cpus.size(), 1));
  std::set<std::vector<uint32_t>> cores;
  std::set<uint32_t> members;
  size_t listed = 0;
  for (const uint32_t cpu : cpus) {
    auto core = core_of(cpu, siblings);
    if (!core) return {threads, threads};
    if (!cores.insert(*core).second) continue;
    members.insert(core->begin(), core->end());
    listed += core->size();
  }
  // A CPU of two cores: they contradict each other.
  if (members.size() != listed) return {threads, threads};
  return {static_cast<uint32_t>(std::max<size_t>(cores.size(), 1)), threads};
}

CpuCounts read_cpu_counts(std::span<const uint32_t> cpus) {
  return count_cpus(cpus, [](uint32_t cpu) {
    return read_text(
        fmt::format("/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list", cpu));
  });
}

}  // namespace om::migrator
