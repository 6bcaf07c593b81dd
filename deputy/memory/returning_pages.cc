// SPDX-License-Identifier: Apache-2.0
#include "deputy/memory/returning_pages.h"

#include <algorithm>

#include "libom/abi/layout.h"

namespace om::deputy {
namespace {

// The process stands still meanwhile: a keeper that trickles does not hold it for ever.
constexpr uint64_t kSlowest = 32 << 10;  // bytes a second
constexpr std::chrono::seconds kGrace(60);

}  // namespace

Verdict<bool> ReturningPages::take(const BulkHeader& frame, Time now) {
  if (frame.kind == kBulkEnd) {
    complete_ = frame.address == frames_;
    return false;
  }
  const bool zero = frame.kind == kBulkZero;
  const bool sound = (zero || frame.kind == kBulkData) && frame.bytes != 0 &&
                     frame.bytes <= kBulkMaxBytes && frame.bytes % kPageSize == 0 &&
                     frame.address % kPageSize == 0 && frame.address >= next_;
  auto behind = std::upper_bound(parts_.begin(), parts_.end(), frame.address,
                                 [](uint64_t at, const Part& part) { return at < part.lo; });
  const Part* part = behind == parts_.begin() ? nullptr : &*std::prev(behind);
  const bool asked = sound && part != nullptr && frame.address < part->hi &&
                     part->hi - frame.address >= frame.bytes && (!zero || part->file);
  if (!asked) return refuse(ReasonCode::kInternal, "the keeper sent a page that was not asked for");
  next_ = frame.address + frame.bytes;
  frames_++;
  bytes_ += sizeof frame + (zero ? 0 : frame.bytes);
  if (now - begun_ > kGrace + std::chrono::seconds(bytes_ / kSlowest))
    return refuse(ReasonCode::kTargetUnreachable, "its memory comes too slowly");
  return true;
}

}  // namespace om::deputy
