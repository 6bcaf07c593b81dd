// SPDX-License-Identifier: Apache-2.0
//
// A loop in registers goes on where it was: the number of steps it did, done again in closed form,
// gives the same state.
#include "test/lib/om_test.h"

#include <atomic>

static std::atomic<bool> g_moved{false};
constexpr uint64_t kFactor = 6364136223846793005ull;
constexpr uint64_t kTerm = 1442695040888963407ull;

// The state after `steps` steps of x = x * kFactor + kTerm, by repeated squaring.
static uint64_t jump(uint64_t x, uint64_t steps) {
  uint64_t factor = kFactor, term = kTerm;
  for (; steps != 0; steps >>= 1) {
    if (steps & 1) x = x * factor + term;
    term = term * factor + term;
    factor *= factor;
  }
  return x;
}

int main() {
  om_test_ready();
  OmThread waiter([] {
    om_test_wait_moved();
    g_moved = true;
  });
  uint64_t x = 42, steps = 0;
  while (!g_moved.load(std::memory_order_relaxed) || steps < 50000000) {
    x = x * kFactor + kTerm;
    ++steps;
  }
  OM_CHECK_EQ(x, jump(42, steps));
}
