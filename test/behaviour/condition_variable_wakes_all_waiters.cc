// SPDX-License-Identifier: Apache-2.0
//
// Eight threads wait on a condition variable during the move; one signal wakes one, a broadcast the
// rest.
#include "test/lib/om_test.h"

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

static std::mutex g_mutex;
static std::condition_variable g_changed;
static int g_waiting, g_tickets, g_passed;

int main() {
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([] {
      std::unique_lock lock(g_mutex);
      ++g_waiting;
      g_changed.wait(lock, [] { return g_tickets > 0; });
      --g_tickets;
      ++g_passed;
    });
  }
  for (std::unique_lock lock(g_mutex); g_waiting < 8;) {
    lock.unlock();
    std::this_thread::yield();
    lock.lock();
  }
  om_test_ready();
  om_test_wait_moved();
  {
    std::lock_guard lock(g_mutex);
    g_tickets = 1;
  }
  g_changed.notify_one();
  {
    std::lock_guard lock(g_mutex);
    g_tickets += 7;
  }
  g_changed.notify_all();
  for (std::thread& thread : threads) thread.join();
  OM_CHECK_EQ(g_passed, 8);
  OM_CHECK_EQ(g_tickets, 0);
}
