// SPDX-License-Identifier: Apache-2.0
#include "guest/clocks.h"

#include <algorithm>

namespace om::guest {
namespace {

constexpr int64_t kNsPerSec = 1000000000;
constexpr int64_t kWindowNs = 8 * kNsPerSec;  // how long a bound counts
constexpr int64_t kSlewNs = kNsPerSec;        // a correction is spread over this time
constexpr int64_t kMaxSlewPpb = 500000;       // 0.5 ms a second, as ntpd
constexpr int64_t kStepNs = kNsPerSec;        // realtime only

}  // namespace

void Clocks::start(int64_t home_mono, int64_t home_real, int64_t local_mono, int64_t local_real) {
  bounds_.clear();
  bounds_.push_back({local_mono, home_mono - local_mono, home_real - local_real});
  mono_ = bounds_.front().mono;
  real_ = bounds_.front().real;
  base_ = limit_ = local_mono;
  slew_ppb_ = 0;
}

int64_t Clocks::offset_at(int64_t base_offset, int64_t local_mono) const {
  const int64_t elapsed =
      std::clamp<int64_t>(std::min(local_mono, limit_) - base_, 0, 4 * kNsPerSec);
  return base_offset + elapsed * slew_ppb_ / kNsPerSec;
}

// Makes the current offsets the new base.
void Clocks::settle(int64_t local_mono) {
  mono_ = offset_at(mono_, local_mono);
  real_ = offset_at(real_, local_mono);
  base_ = limit_ = local_mono;
  slew_ppb_ = 0;
}

void Clocks::sample(int64_t home_mono, int64_t home_real, int64_t local_mono, int64_t local_real) {
  bounds_.push_back({local_mono, home_mono - local_mono, home_real - local_real});
  while (bounds_.size() > 1 && local_mono - bounds_.front().local_mono > kWindowNs)
    bounds_.pop_front();
  settle(local_mono);
  int64_t mono = INT64_MIN, real = INT64_MIN;
  for (const Bound& b : bounds_) {
    mono = std::max(mono, b.mono);
    real = std::max(real, b.real);
  }
  const int64_t newest_real = bounds_.back().real;
  if (newest_real - real_ > kStepNs || real_ - newest_real > kStepNs) {
    // Home's clock was set: older bounds no longer mean anything.
    for (Bound& b : bounds_) b.real = newest_real;
    real_ = newest_real;
  }
  const int64_t error = mono - mono_;
  slew_ppb_ = std::clamp(error * (kNsPerSec / kSlewNs), -kMaxSlewPpb, kMaxSlewPpb);
  limit_ = local_mono + kSlewNs;
}

void Clocks::jump(int64_t local_mono) {
  settle(local_mono);
  for (const Bound& b : bounds_) {
    mono_ = std::max(mono_, b.mono);
    real_ = std::max(real_, b.real);
  }
}

ClockPage Clocks::page(int64_t local_mono) const {
  ClockPage p{};
  p.mono_offset_ns = offset_at(mono_, local_mono);
  p.real_offset_ns = offset_at(real_, local_mono);
  p.base_ns = local_mono;
  p.slew_ppb = local_mono < limit_ ? slew_ppb_ : 0;
  p.limit_ns = limit_;
  return p;
}

int64_t Clocks::body_mono(int64_t local_mono) const {
  return local_mono + offset_at(mono_, local_mono);
}

int64_t Clocks::body_real(int64_t local_mono, int64_t local_real) const {
  return local_real + offset_at(real_, local_mono);
}

}  // namespace om::guest
