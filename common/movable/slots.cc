// SPDX-License-Identifier: Apache-2.0
//
// How many threads a process may have away, and which descriptor numbers that takes.
#include <sys/resource.h>

#include <algorithm>
#include <functional>

#include "common/movable/preflight.h"
#include "libom/abi/layout.h"

namespace om {
namespace {

constexpr int64_t kFdLow = 64;  // lower numbers are always the program's

}  // namespace

uint32_t thread_slots(size_t threads, uint64_t as_limit, uint64_t fd_limit) {
  uint32_t slots = kDefaultSlots;
  while (slots > kMinSlots && uint64_t{slots} * 4 > fd_limit) slots /= 2;
  while (slots < threads * 2 && slots < kMaxSlots) slots *= 2;
  if (as_limit != RLIM_INFINITY)
    slots = std::max<uint32_t>(kMinSlots, static_cast<uint32_t>(threads) + 16);
  return std::min(slots, kMaxSlots);
}

std::optional<int> find_descriptors(std::span<const proc::FdEntry> open, uint64_t fd_limit,
                                    uint32_t need) {
  std::vector<int> taken;
  for (const proc::FdEntry& entry : open) taken.push_back(entry.fd);
  std::sort(taken.begin(), taken.end(), std::greater<int>());
  int64_t top = static_cast<int64_t>(std::min(fd_limit, kFdMost));
  for (const int fd : taken) {
    if (fd >= top) continue;
    if (top - fd - 1 >= need) break;
    top = fd;
  }
  const int64_t first = top - need;
  if (first < kFdLow) return std::nullopt;
  return static_cast<int>(first);
}

}  // namespace om
