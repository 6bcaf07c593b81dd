// SPDX-License-Identifier: Apache-2.0
//
// The CPUs and the memory of a simulated node. All running threads get the same: what one of them has done since the
// start is one number, and a job ends when that number reaches a known value. So nothing is computed but at changes.
#pragma once

#include <stdint.h>

#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "balance/model.h"

namespace om::sim {

class Processor {
 public:
  Processor(const balance::Machine& machine, double bytes) : machine_(machine), bytes_(bytes) {}

  // A job with so much work left runs here from now on; calls make it slower by `factor`.
  void add(double now_s, uint32_t job, double work, double threads, double factor, double bytes);
  // It no longer does: what it has done here since add().
  double remove(double now_s, uint32_t job);
  double done_here(double now_s, uint32_t job) const;
  // Memory of what is on its way here, or from here.
  void reserve(double now_s, double bytes);

  double threads() const { return threads_; }
  double used_bytes() const { return used_; }
  double free_bytes() const { return used_ < bytes_ ? bytes_ - used_ : 0; }
  double total_bytes() const { return bytes_; }
  const balance::Machine& machine() const { return machine_; }
  size_t jobs() const { return running_.size(); }
  // The next job that ends, and when, if nothing changes.
  std::optional<std::pair<double, uint32_t>> next_end() const;

 private:
  struct Running {
    uint32_t job = 0;
    double begun = 0;  // progress() then
    double ends = 0;
    double work = 0;
    double threads = 0;
    double bytes = 0;
  };

  double thread_rate() const;
  double progress(double now_s) const { return done_ + (now_s - at_s_) * thread_rate(); }
  void advance(double now_s);
  const Running& find(uint32_t job) const;

  balance::Machine machine_;
  double bytes_;
  double used_ = 0;
  double threads_ = 0;
  double done_ = 0;  // by each thread until at_s_
  double at_s_ = 0;
  std::vector<Running> running_;
  std::set<std::pair<double, uint32_t>> ends_;
};

}  // namespace om::sim
