// SPDX-License-Identifier: Apache-2.0
#include "common/image/expected_pages.h"

#include <algorithm>
#include <utility>

#include "libom/abi/layout.h"

namespace om {
namespace {

// The process stands still meanwhile, so a sender that trickles must not hold it up for ever.
constexpr uint64_t kSlowest = 32 << 10;  // bytes a second
constexpr std::chrono::seconds kGrace(60);

}  // namespace

ExpectedPages::ExpectedPages(std::vector<Place> places, Order order, Time now)
    : places_(std::move(places)), order_(order), begun_(now) {
  std::sort(places_.begin(), places_.end(),
            [](const Place& a, const Place& b) { return a.lo < b.lo; });
}

// Whether its size and address are as in bulk.h, and all of it lies within places.
bool ExpectedPages::holds(const BulkHeader& frame) const {
  if (frame.bytes == 0 || frame.bytes > kBulkMaxBytes || frame.bytes % kPageSize != 0 ||
      frame.address % kPageSize != 0 || frame.address > UINT64_MAX - frame.bytes)
    return false;
  auto it = std::upper_bound(places_.begin(), places_.end(), frame.address,
                             [](uint64_t address, const Place& p) { return address < p.lo; });
  if (it == places_.begin()) return false;
  --it;
  const bool zero = frame.kind == kBulkZero;
  uint64_t at = frame.address;
  const uint64_t end = frame.address + frame.bytes;
  while (at < end && it != places_.end() && it->lo <= at && at < it->hi && (it->zeros || !zero))
    at = (it++)->hi;
  return at >= end;
}

Verdict<bool> ExpectedPages::take(const BulkHeader& frame, Time now) {
  if (frame.kind == kBulkEnd) {
    complete_ = frame.address == frames_;
    return false;
  }
  const bool known = frame.kind == kBulkData || frame.kind == kBulkZero;
  const bool again = order_ == Order::kOnce && frame.address < next_;
  if (!known || !holds(frame) || again)
    return refuse(ReasonCode::kInternal, "a page came for a place where none was expected");
  next_ = frame.address + frame.bytes;
  frames_++;
  bytes_ += sizeof frame + (frame.kind == kBulkZero ? 0 : frame.bytes);
  if (order_ == Order::kOnce && now - begun_ > kGrace + std::chrono::seconds(bytes_ / kSlowest))
    return refuse(ReasonCode::kTargetUnreachable, "its memory comes too slowly");
  return true;
}

}  // namespace om
