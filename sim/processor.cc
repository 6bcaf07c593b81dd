// SPDX-License-Identifier: Apache-2.0
#include "sim/processor.h"

#include <algorithm>

#include "common/base/assert.h"

namespace om::sim {
namespace {

// A node whose memory is full pages: twice as much as it has makes it so many times slower.
constexpr double kThrashing = 10;

}  // namespace

double Processor::thread_rate() const {
  const double over = std::clamp(used_ / bytes_ - 1, 0.0, 1.0);
  return balance::rate(machine_, threads_) / (1 + kThrashing * over);
}

void Processor::advance(double now_s) {
  done_ = progress(now_s);
  at_s_ = now_s;
}

const Processor::Running& Processor::find(uint32_t job) const {
  const auto it = std::find_if(running_.begin(), running_.end(),
                               [job](const Running& running) { return running.job == job; });
  OM_ASSERT(it != running_.end());
  return *it;
}

void Processor::add(double now_s, uint32_t job, double work, double threads, double factor,
                    double bytes) {
  advance(now_s);
  const double ends = done_ + work * factor / threads;
  running_.push_back({job, done_, ends, work, threads, bytes});
  ends_.emplace(ends, job);
  threads_ += threads;
  used_ += bytes;
}

double Processor::done_here(double now_s, uint32_t job) const {
  const Running& running = find(job);
  if (running.ends <= running.begun) return running.work;
  return running.work *
         std::min(1.0, (progress(now_s) - running.begun) / (running.ends - running.begun));
}

double Processor::remove(double now_s, uint32_t job) {
  const double done = done_here(now_s, job);
  advance(now_s);
  const Running running = find(job);
  ends_.erase({running.ends, job});
  running_.erase(running_.begin() + (&find(job) - running_.data()));
  threads_ -= running.threads;
  used_ -= running.bytes;
  return done;
}

void Processor::reserve(double now_s, double bytes) {
  advance(now_s);
  used_ = std::max(0.0, used_ + bytes);
}

std::optional<std::pair<double, uint32_t>> Processor::next_end() const {
  if (ends_.empty()) return {};
  const double rate = thread_rate();
  return std::pair(at_s_ + std::max(0.0, ends_.begin()->first - done_) / rate,
                   ends_.begin()->second);
}

}  // namespace om::sim
