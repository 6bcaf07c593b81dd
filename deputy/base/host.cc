// SPDX-License-Identifier: Apache-2.0
#include "deputy/base/host.h"

#include <stdlib.h>
#include <sys/sysinfo.h>

#include <algorithm>

#include "common/proc/proc_file.h"
#include "common/proc/process.h"

namespace om::deputy {

uint32_t possible_cpus() {
  uint32_t fewer = 0;
  const char* const setting = ::getenv("OM_TEST_CPUS");
  if (setting != nullptr && parse_number(setting, fewer) && fewer > 0) return fewer;
  const auto configured = static_cast<uint32_t>(std::max(::get_nprocs_conf(), 1));
  auto text = read_text("/sys/devices/system/cpu/possible");
  if (!text) return configured;
  // "0-7" or "0,2-3": the last number counts.
  std::string_view list = trim(*text);
  const size_t cut = list.find_last_of(",-");
  if (cut != std::string_view::npos) list.remove_prefix(cut + 1);
  uint32_t last = 0;
  return parse_number(list, last) && last < 65536 ? last + 1 : configured;
}

uint32_t fd_size(pid_t pid) {
  constexpr uint32_t kSmallest = 64;
  auto text = proc::read_proc(proc::memory_tid(pid), "status");
  if (!text) return kSmallest;
  std::string_view rest = *text;
  while (!rest.empty()) {
    std::string_view line = take_line(rest);
    if (!line.starts_with("FDSize:")) continue;
    line.remove_prefix(7);
    uint32_t size = 0;
    if (parse_number(trim(line), size)) return size;
  }
  return kSmallest;
}

}  // namespace om::deputy
