// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target: /proc/PID/maps and smaps (common/proc). Their paths are untrusted. Mappings ascend and do not overlap,
// and each is found by its addresses.
#include "common/proc/maps.h"
#include "common/proc/smaps.h"
#include "test/fuzz/fuzz.h"

using om::fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = om::fuzz::text_of(data, size);
  auto maps = om::proc::parse_maps(text);
  if (maps) {
    uint64_t end = 0;
    for (const om::proc::Mapping& map : *maps) {
      require(map.start >= end && map.end > map.start);
      end = map.end;
      require(map.path.size() <= size && map.basename().size() <= map.path.size());
      require(om::proc::find_mapping(*maps, map.start) == &map);
      require(om::proc::find_mapping(*maps, map.end - 1) == &map);
      require(om::proc::find_mapping(*maps, map.end) != &map);
    }
  }
  auto smaps = om::proc::parse_smaps(text);
  if (smaps) {
    for (const om::proc::SmapsEntry& entry : *smaps) {
      require(entry.map.end > entry.map.start);
      static_cast<void>(entry.flags.has("wr"));
      static_cast<void>(entry.flags.has(""));
    }
  }
  static_cast<void>(om::proc::parse_maps_line(text));
  return 0;
}
