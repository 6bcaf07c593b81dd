// SPDX-License-Identifier: Apache-2.0
#include "balance/view.h"

namespace om::balance {

NodeLoad load_of(const LoadEntry& entry) {
  NodeLoad load;
  load.node = entry.node;
  load.machine = entry.machine;
  load.k = entry.k;
  load.told = entry.told;
  load.free_bytes = entry.free_bytes;
  load.total_bytes = entry.total_bytes;
  load.flags = entry.flags;
  load.feature_class = entry.feature_class;
  load.age_s = entry.age_s;
  return load;
}

NodeLoad load_of(const LoadTable::Known& known, double now_s) {
  NodeLoad load = load_of(known.entry);
  load.k += known.expected_threads;
  load.told += known.expected_threads;
  load.free_bytes = std::max(0.0, load.free_bytes - known.expected_bytes);
  load.age_s = now_s - known.made_s;
  return load;
}

}  // namespace om::balance
