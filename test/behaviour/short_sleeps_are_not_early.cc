// SPDX-License-Identifier: Apache-2.0
//
// Many short sleeps of several kinds, on threads, while moves happen: none is early.
#include "test/lib/om_test.h"

#include <poll.h>
#include <sys/select.h>
#include <atomic>
#include <chrono>
#include <thread>

static std::atomic<bool> g_moved{false};

template <typename Sleep>
static void repeat(Sleep sleep, int64_t ns) {
  for (int i = 0; i < 20 || !g_moved; ++i) {
    int64_t start = om_test_ns();
    sleep();
    OM_CHECK_TIME(start, ns);
  }
}

int main() {
  om_test_ready();
  OmThread one([] { repeat([] { usleep(7000); }, 7 * kMilli); });
  OmThread two([] { repeat([] { poll(nullptr, 0, 9); }, 9 * kMilli); });
  OmThread three([] {
    repeat([] { std::this_thread::sleep_for(std::chrono::milliseconds(5)); }, 5 * kMilli);
  });
  OmThread four([] {
    repeat(
        [] {
          timeval limit{0, 11000};
          select(0, nullptr, nullptr, nullptr, &limit);
        },
        11 * kMilli);
  });
  om_test_wait_moved();
  g_moved = true;
}
