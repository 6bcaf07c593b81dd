// SPDX-License-Identifier: Apache-2.0
#include "common/image/bulk.h"

#include <algorithm>

#include "libom/abi/layout.h"

namespace om {

BulkPlaces::BulkPlaces(std::vector<Place> places) : places_(std::move(places)) {
  std::sort(places_.begin(), places_.end(),
            [](const Place& a, const Place& b) { return a.lo < b.lo; });
}

bool BulkPlaces::holds(const BulkHeader& frame) const {
  if (frame.bytes == 0 || frame.bytes > kBulkMaxBytes || frame.bytes % kPageSize != 0 ||
      frame.address % kPageSize != 0 || frame.address > UINT64_MAX - frame.bytes) {
    return false;
  }
  auto it = std::upper_bound(places_.begin(), places_.end(), frame.address,
                             [](uint64_t address, const Place& p) { return address < p.lo; });
  if (it == places_.begin()) return false;
  --it;
  uint64_t at = frame.address;
  const uint64_t end = frame.address + frame.bytes;
  while (at < end && it != places_.end() && it->lo <= at && at < it->hi) at = (it++)->hi;
  return at >= end;
}

}  // namespace om
