// SPDX-License-Identifier: Apache-2.0
//
// Threads that do nothing but read clocks (mostly inside the vDSO) never see one go back, and the
// wall clock stays within a few seconds of the one at home.
// om-transient: none
#include "test/lib/om_test.h"

#include <stdio.h>
#include <atomic>

static std::atomic<bool> g_stop{false};
static std::atomic<int64_t> g_latest{0};  // over all threads: no thread may see an earlier time

static void watch(clockid_t clock, bool shared) {
  int64_t last = om_test_ns(clock);
  while (!g_stop) {
    int64_t floor = shared ? g_latest.load() : last;
    int64_t now = om_test_ns(clock);
    OM_CHECK(now >= floor);
    OM_CHECK(now >= last);
    last = now;
    if (shared && floor < now) g_latest.compare_exchange_strong(floor, now);
  }
}

int main() {
  om_test_ready();
  OmThread one([] { watch(CLOCK_MONOTONIC, true); });
  OmThread two([] { watch(CLOCK_MONOTONIC, true); });
  OmThread three([] { watch(CLOCK_BOOTTIME, false); });
  om_test_wait_moved();
  int64_t start = om_test_ns();
  while (om_test_ns() - start < 200 * kMilli) continue;
  g_stop = true;
  for (OmThread* thread : {&one, &two, &three}) thread->join();
  puts("clocks in order");
}
