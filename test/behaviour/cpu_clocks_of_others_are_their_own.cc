// SPDX-License-Identifier: Apache-2.0
//
// The CPU-time clock of another thread or process says what that one has used, not what the caller has: after the
// move the caller computes, an idle thread and an idle child do not, a busy thread does.
#include "test/lib/om_test.h"

#include <signal.h>
#include <sys/wait.h>
#include <atomic>
#include <thread>

constexpr int64_t kBusy = 60 * kMilli;
constexpr int64_t kIdle = 40 * kMilli;  // far more than starting costs

static void burn() {
  const int64_t until = om_test_ns(CLOCK_THREAD_CPUTIME_ID) + kBusy;
  while (om_test_ns(CLOCK_THREAD_CPUTIME_ID) < until) {
    for (int i = 0; i < 10000; ++i) asm volatile("" : "+r"(i));
  }
}

int main() {
  const pid_t child = OM_SYS(fork());
  if (child == 0) {
    for (;;) pause();
  }
  std::atomic<bool> busy_done{false}, end{false};
  std::thread idle([&] {
    while (!end) usleep(20000);
  });
  std::thread busy([&] {
    om_test_wait_moved();
    burn();
    busy_done = true;
    while (!end) usleep(20000);
  });
  clockid_t of_child, of_idle, of_busy;
  OM_CHECK_EQ(clock_getcpuclockid(child, &of_child), 0);
  OM_CHECK_EQ(pthread_getcpuclockid(idle.native_handle(), &of_idle), 0);
  OM_CHECK_EQ(pthread_getcpuclockid(busy.native_handle(), &of_busy), 0);
  om_test_ready();
  om_test_wait_moved();
  const int64_t idle_before = om_test_ns(of_idle);
  burn();
  while (!busy_done) usleep(1000);
  OM_CHECK(om_test_ns(of_child) < kIdle);
  OM_CHECK(om_test_ns(of_idle) - idle_before < kIdle);
  OM_CHECK(om_test_ns(of_busy) >= kBusy);
  OM_CHECK(om_test_ns(CLOCK_THREAD_CPUTIME_ID) >= kBusy);
  OM_CHECK(om_test_ns(CLOCK_PROCESS_CPUTIME_ID) >= 2 * kBusy);
  end = true;
  idle.join();
  busy.join();
  OM_SYS(kill(child, SIGKILL));
  OM_CHECK_EQ(waitpid(child, nullptr, 0), child);
}
