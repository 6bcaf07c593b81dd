// SPDX-License-Identifier: Apache-2.0
//
// wait_for() and wait_until() on condition variables, asleep during the move, time out and are not
// early.
#include "test/lib/om_test.h"

#include <chrono>
#include <condition_variable>
#include <mutex>

using namespace std::chrono_literals;

int main() {
  std::mutex mutex;
  std::condition_variable changed;
  std::unique_lock lock(mutex);
  om_test_ready_blocking("futex");
  int64_t start = om_test_ns();
  OM_CHECK(!changed.wait_for(lock, 1300ms, [] { return false; }));
  OM_CHECK_TIME(start, 1300 * kMilli);
  om_test_wait_moved();
  auto until = std::chrono::system_clock::now() + 200ms;
  while (changed.wait_until(lock, until) != std::cv_status::timeout) continue;
  OM_CHECK(std::chrono::system_clock::now() >= until);
}
