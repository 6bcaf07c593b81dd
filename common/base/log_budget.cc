// SPDX-License-Identifier: Apache-2.0
#include "common/base/log_budget.h"

#include <algorithm>
#include <utility>

namespace om {

bool LogBudget::take(const std::string& owner, uint64_t& missing) {
  const MonotonicTime now = clock_.now();
  auto it = stores_.find(owner);
  if (it == stores_.end()) {
    if (stores_.size() >= kMaxOwners) {
      // Drop the owner that has been quiet for longest: its bucket is full again, or nearly so.
      stores_.erase(std::min_element(stores_.begin(), stores_.end(), [](auto& a, auto& b) {
        return a.second.filled < b.second.filled;
      }));
    }
    it = stores_.emplace(owner, Store{kBurst, 0, now}).first;
  }
  Store& store = it->second;
  const double elapsed = std::chrono::duration<double>(now - store.filled).count();
  store.lines = std::min<double>(kBurst, store.lines + elapsed * kPerSecond);
  store.filled = now;
  if (store.lines < 1) {
    ++store.missing;
    return false;
  }
  store.lines -= 1;
  missing = std::exchange(store.missing, 0);
  return true;
}

}  // namespace om
