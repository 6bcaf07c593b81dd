// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target: /proc/PID/stat, sched, fdinfo, auxv, cmdline (common/proc). A process chooses its own
// name and arguments.
#include "common/proc/stat.h"

#include "common/proc/process.h"
#include "test/fuzz/fuzz.h"

using om::fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = om::fuzz::text_of(data, size);
  if (auto stat = om::proc::parse_stat(text)) require(stat->comm.size() <= size);
  static_cast<void>(om::proc::parse_sched_exec_start(text));
  static_cast<void>(om::proc::parse_fdinfo(text));
  if (auto auxv = om::proc::parse_auxv(text)) {
    require(auxv->entries().size() <= size / 16 + 1);
    for (const auto& [type, value] : auxv->entries()) require(auxv->find(type).has_value());
  }
  size_t bytes = 0;
  for (const std::string& part : om::proc::parse_strings(text)) bytes += part.size();
  require(bytes <= size);
  return 0;
}
