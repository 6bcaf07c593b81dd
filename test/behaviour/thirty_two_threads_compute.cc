// SPDX-License-Identifier: Apache-2.0
//
// Thirty-two threads compute during the move; every one finishes its own sum.
#include "test/lib/om_test.h"

#include <stdio.h>
#include <atomic>
#include <thread>
#include <vector>

static std::atomic<bool> g_moved{false};

int main() {
  uint64_t steps[32] = {}, sums[32] = {};
  om_test_ready();
  std::vector<std::thread> threads;
  for (uint64_t i = 0; i < 32; ++i) {
    threads.emplace_back([i, &steps, &sums] {
      uint64_t n = 0, sum = 0;
      while (!g_moved || n < 100000) sum += (++n) * (i + 1);
      steps[i] = n;
      sums[i] = sum;
    });
  }
  om_test_wait_moved();
  g_moved = true;
  for (std::thread& thread : threads) thread.join();
  for (uint64_t i = 0; i < 32; ++i) OM_CHECK_EQ(sums[i], steps[i] * (steps[i] + 1) / 2 * (i + 1));
  puts("32 sums");
}
