// SPDX-License-Identifier: Apache-2.0
//
// Threads come and go without pause while the move is made.
#include "test/lib/om_test.h"

#include <stdio.h>
#include <atomic>

static std::atomic<bool> g_moved{false};
static std::atomic<int> g_ended{0};

int main() {
  om_test_ready();
  OmThread maker([] {
    int made = 0;
    while (!g_moved || made < 100) {
      OmThread one([] { ++g_ended; }), two([] { ++g_ended; });
      made += 2;
    }
    OM_CHECK_EQ(g_ended.load(), made);
  });
  om_test_wait_moved();
  g_moved = true;
  maker.join();
  puts("all joined");
}
