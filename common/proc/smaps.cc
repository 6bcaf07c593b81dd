// SPDX-License-Identifier: Apache-2.0
#include "common/proc/smaps.h"

#include "common/proc/proc_file.h"

namespace om::proc {
namespace {

// "132 kB" as bytes.
bool parse_kib(std::string_view text, uint64_t& bytes) {
  uint64_t kib = 0;
  if (!parse_number(take_field(text), kib) || take_field(text) != "kB" || kib > UINT64_MAX / 1024)
    return false;
  bytes = kib * 1024;
  return true;
}

bool parse_attribute(std::string_view name, std::string_view value, SmapsEntry& entry) {
  if (name == "KernelPageSize:") return parse_kib(value, entry.kernel_page_bytes);
  if (name == "Rss:") return parse_kib(value, entry.rss_bytes);
  if (name == "Anonymous:") return parse_kib(value, entry.anonymous_bytes);
  if (name == "Swap:") return parse_kib(value, entry.swap_bytes);
  if (name == "Locked:") return parse_kib(value, entry.locked_bytes);
  if (name == "ProtectionKey:") return parse_number(trim(value), entry.protection_key);
  if (name == "VmFlags:") entry.flags = VmFlags(trim(value));
  return true;
}

}  // namespace

bool VmFlags::has(std::string_view code) const {
  for (size_t at = 0; at + 2 <= text_.size(); at += 3) {
    if (text_.compare(at, 2, code) == 0) return true;
  }
  return false;
}

Result<std::vector<SmapsEntry>> parse_smaps(std::string_view text) {
  std::vector<SmapsEntry> entries;
  while (!text.empty()) {
    std::string_view line = take_line(text);
    std::string_view value = line;
    std::string_view name = take_field(value);
    if (!name.empty() && name.back() == ':') {
      if (entries.empty() || !parse_attribute(name, value, entries.back()))
        return bad_text("smaps", line);
      continue;
    }
    SmapsEntry entry;
    entry.map = OM_TRY(parse_maps_line(line));
    if (!make_room(entries, entry.map, [](SmapsEntry& e) -> Mapping& { return e.map; }))
      return bad_text("smaps: not ascending", line);
    entries.push_back(std::move(entry));
  }
  return entries;
}

Result<std::vector<SmapsEntry>> read_smaps(pid_t pid) {
  return parse_smaps(OM_TRY(read_proc(pid, "smaps")));
}

}  // namespace om::proc
