// SPDX-License-Identifier: Apache-2.0
//
// /proc/PID/smaps: what maps does not say of a mapping, above all VmFlags (device memory, huge pages, userfaultfd,
// may-write) and the protection key. To produce the text the kernel walks the page tables (about 10 ns a resident
// page), so read it once for a decision and never in a loop.
#pragma once

#include <stdint.h>

#include <string>
#include <string_view>
#include <vector>

#include "common/proc/maps.h"

namespace om::proc {

// The two-letter codes of one mapping, as the kernel prints them: "rd wr mr mw me sd".
class VmFlags {
 public:
  VmFlags() = default;
  explicit VmFlags(std::string_view text) : text_(text) {}
  bool has(std::string_view code) const;
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

struct SmapsEntry {
  Mapping map;
  uint64_t kernel_page_bytes = 0;
  uint64_t rss_bytes = 0;
  uint64_t anonymous_bytes = 0;
  uint64_t swap_bytes = 0;
  uint64_t locked_bytes = 0;
  uint32_t protection_key = 0;  // 0 also where the CPU has no keys and the line is missing
  VmFlags flags;
};

// EBADMSG for text that is not smaps; unknown attribute lines are skipped.
Result<std::vector<SmapsEntry>> parse_smaps(std::string_view text);
Result<std::vector<SmapsEntry>> read_smaps(pid_t pid);

}  // namespace om::proc
