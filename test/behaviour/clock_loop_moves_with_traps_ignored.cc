// SPDX-License-Identifier: Apache-2.0
//
// A program that does nothing but read the clock and ignores SIGTRAP moves at once, and ignores it afterwards.
// om-transient: none
#include "test/lib/om_test.h"

#include <signal.h>
#include <stdio.h>
#include <atomic>

static std::atomic<bool> g_stop{false};

int main() {
  signal(SIGTRAP, SIG_IGN);
  {
    OmThread reads([] {
      int64_t last = om_test_ns();
      while (!g_stop) {
        const int64_t now = om_test_ns();
        OM_CHECK(now >= last);
        last = now;
      }
    });
    om_test_ready();
    om_test_wait_moved();
    g_stop = true;
  }
  OM_SYS(raise(SIGTRAP));
  OM_CHECK(signal(SIGTRAP, SIG_DFL) == SIG_IGN);
  puts("no trap");
}
