// SPDX-License-Identifier: Apache-2.0
//
// Long steps (build, fill, stop, collect) that home's calls ask for. They run one after the other on the top level,
// where they may wait. A step asked for in a session that has ended is skipped.
#pragma once

#include <kj/async-io.h>
#include <stdint.h>

#include <deque>
#include <functional>

#include "guest/session.h"

namespace om::guest {

class Jobs {
 public:
  explicit Jobs(Session& session) : session_(session) {}

  // The promise resolves when `run` has returned. OVERLOADED: too many wait.
  kj::Promise<void> add(std::function<void()> run);
  // Top level: runs the next one, or waits until there is one or wake() is called.
  void run_next(kj::WaitScope& scope);
  void wake();
  void clear() { jobs_.clear(); }
  // Whether one is running.
  bool is_busy() const { return busy_; }

 private:
  struct Job {
    uint32_t session;
    std::function<void()> run;
    kj::Own<kj::PromiseFulfiller<void>> done;
  };

  Session& session_;
  std::deque<Job> jobs_;
  bool busy_ = false;
  kj::Maybe<kj::Own<kj::PromiseFulfiller<void>>> arrived_;
};

}  // namespace om::guest
