// SPDX-License-Identifier: Apache-2.0
#include "balance/smoothing.h"

#include <algorithm>
#include <cmath>

namespace om::balance {

void LoadMean::advance(double now_s) {
  if (!any_) {
    any_ = true;
    begun_s_ = at_s_ = now_s;
  }
  if (now_s - begun_s_ > 2 * kSteps * kStep) {  // nothing of before counts any more
    sums_.fill(value_ * kStep);
    filled_ = kSteps;
    running_ = 0;
    begun_s_ = at_s_ = now_s;
  }
  while (now_s >= begun_s_ + kStep) {
    const double end = begun_s_ + kStep;
    sums_[next_] = running_ + value_ * (end - at_s_);
    next_ = (next_ + 1) % kSteps;
    filled_ = std::min(filled_ + 1, kSteps);
    running_ = 0;
    begun_s_ = at_s_ = end;
  }
  if (now_s > at_s_) {
    running_ += value_ * (now_s - at_s_);
    at_s_ = now_s;
  }
}

void LoadMean::sample(double now_s, double value) {
  advance(now_s);
  value_ = value;
}

void LoadMean::shift(double now_s, double threads) {
  advance(now_s);
  for (double& sum : sums_) sum = std::max(0.0, sum + threads * kStep);
  running_ = std::max(0.0, running_ + threads * (at_s_ - begun_s_));
  value_ = std::max(0.0, value_ + threads);
}

double LoadMean::mean(double now_s) const {
  LoadMean copy = *this;
  copy.advance(now_s);
  if (copy.filled_ == 0) return copy.value_;
  double sum = 0;
  for (size_t i = 0; i < copy.filled_; ++i)
    sum += copy.sums_[(copy.next_ + kSteps - 1 - i) % kSteps];
  // The running tenth counts in place of as much of the oldest one.
  const double part = copy.at_s_ - copy.begun_s_;
  const double oldest = copy.sums_[(copy.next_ + kSteps - copy.filled_) % kSteps];
  sum += copy.running_ - oldest * part / kStep;
  return std::max(0.0, sum / (static_cast<double>(copy.filled_) * kStep));
}

void MosixLoad::step(double load) {
  own_ = load > own_ ? (5 * own_ + 3 * load) / 8 : load;
  told_ = load >= told_ ? load : (7 * told_ + load) / 8;
}

}  // namespace om::balance
