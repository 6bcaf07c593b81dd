// SPDX-License-Identifier: Apache-2.0
#include "migrator/load/readings.h"

#include <sched.h>

#include <cmath>

#include "common/base/text.h"

namespace om::migrator {
namespace {

constexpr std::string_view kLoadavg = "/proc/loadavg", kMeminfo = "/proc/meminfo",
                           kPressure = "/proc/pressure/memory";

uint64_t* member_of(Memory& memory, std::string_view name) {
  if (name == "MemTotal:") return &memory.total_bytes;
  if (name == "MemAvailable:") return &memory.available_bytes;
  if (name == "SwapTotal:") return &memory.swap_bytes;
  if (name == "SwapFree:") return &memory.swap_free_bytes;
  return nullptr;
}

}  // namespace

Result<Memory> parse_meminfo(std::string_view text) {
  Memory memory;
  while (!text.empty()) {
    std::string_view line = take_line(text);
    uint64_t* member = member_of(memory, take_field(line));
    if (member == nullptr) continue;
    const std::string_view number = take_field(line);
    uint64_t kib = 0;
    if (!parse_number(number, kib) || kib > UINT64_MAX / 1024) return bad_text(kMeminfo, number);
    *member = kib * 1024;
  }
  if (memory.total_bytes == 0) return bad_text(kMeminfo, "no MemTotal");
  return memory;
}

Result<uint32_t> parse_loadavg(std::string_view text) {
  double load = 0;
  const std::string_view field = take_field(text);
  if (!parse_number(field, load) || !(load >= 0 && load < 1e6)) return bad_text(kLoadavg, field);
  return static_cast<uint32_t>(std::lround(load * 100));
}

Result<uint32_t> parse_running(std::string_view text) {
  for (int average = 0; average < 3; ++average) take_field(text);
  const std::string_view field = take_field(text);
  const size_t slash = field.find('/');
  uint32_t running = 0, total = 0;
  if (slash == field.npos || !parse_number(field.substr(0, slash), running) ||
      !parse_number(field.substr(slash + 1), total))
    return bad_text(kLoadavg, field);
  return running;
}

Result<double> parse_pressure(std::string_view text) {
  constexpr std::string_view kAverage = "avg10=";
  while (!text.empty()) {
    std::string_view line = take_line(text);
    if (take_field(line) != "some") continue;
    const std::string_view field = take_field(line);
    double percent = 0;
    if (!field.starts_with(kAverage) || !parse_number(field.substr(kAverage.size()), percent) ||
        !(percent >= 0 && percent <= 100))
      return bad_text(kPressure, field);
    return percent;
  }
  return bad_text(kPressure, "no line \"some\"");
}

std::string_view parse_cpu_name(std::string_view cpuinfo) {
  while (!cpuinfo.empty()) {
    const std::string_view line = take_line(cpuinfo);
    const size_t colon = line.find(':');
    if (colon == line.npos || trim(line.substr(0, colon)) != "model name") continue;
    return trim(line.substr(colon + 1)).substr(0, kMaxCpuName);
  }
  return {};
}

Result<std::vector<uint32_t>> allowed_cpus() {
  // The kernel refuses a mask shorter than its own; 8192 CPUs is its configurable maximum.
  constexpr uint32_t kMaskCpus = 8192;
  cpu_set_t* mask = CPU_ALLOC(kMaskCpus);
  size_t size = CPU_ALLOC_SIZE(kMaskCpus);
  int status = ::sched_getaffinity(0, size, mask);
  std::vector<uint32_t> cpus;
  for (uint32_t cpu = 0; status == 0 && cpu < kMaskCpus; ++cpu) {
    if (CPU_ISSET_S(cpu, size, mask)) cpus.push_back(cpu);
  }
  CPU_FREE(mask);
  if (status != 0) return errno_error("sched_getaffinity");
  return cpus;
}

}  // namespace om::migrator
