// SPDX-License-Identifier: Apache-2.0
//
// futex_waitv and the futex2 calls wait and wake between threads; a time limit is not early.
#include "test/lib/om_test.h"

#include <linux/futex.h>
#include <sys/syscall.h>

constexpr long kFutexWake = 454, kFutexWait = 455;
static uint32_t g_words[2] = {1, 1};

int main() {
  futex_waitv waits[2] = {};
  for (int i = 0; i < 2; ++i) {
    waits[i].uaddr = reinterpret_cast<uint64_t>(&g_words[i]);
    waits[i].val = 1;
    waits[i].flags = FUTEX_32 | FUTEX_PRIVATE_FLAG;
  }
  int64_t until = om_test_ns() + 50 * kMilli;
  timespec when{until / kSecond, until % kSecond};
  if (syscall(SYS_futex_waitv, waits, 2, 0, &when, CLOCK_MONOTONIC) == -1 && errno == ENOSYS) {
    om_test_skip("no futex_waitv");
  }
  om_test_ready();
  om_test_wait_moved();
  until = om_test_ns() + 200 * kMilli;
  when = {until / kSecond, until % kSecond};
  OM_CHECK_ERRNO(syscall(SYS_futex_waitv, waits, 2, 0, &when, CLOCK_MONOTONIC), ETIMEDOUT);
  OM_CHECK_TIME(until, 0);
  OmThread waker([] {
    timespec pause{0, 50000000};
    nanosleep(&pause, nullptr);
    __atomic_store_n(&g_words[1], 2, __ATOMIC_SEQ_CST);
    if (syscall(kFutexWake, &g_words[1], ~0u, 1, FUTEX_32 | FUTEX_PRIVATE_FLAG) < 0) {
      syscall(SYS_futex, &g_words[1], FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
    }
  });
  long woken = syscall(SYS_futex_waitv, waits, 2, 0, nullptr, 0);
  OM_CHECK(woken == 1 || (woken == -1 && errno == EAGAIN));
  waker.join();
  OM_CHECK_ERRNO(syscall(SYS_futex_waitv, waits, 2, 0, nullptr, 0), EAGAIN);
  long again = syscall(kFutexWait, &g_words[1], 1, ~0u, FUTEX_32 | FUTEX_PRIVATE_FLAG, nullptr, 0);
  OM_CHECK(again == -1 && (errno == EAGAIN || errno == ENOSYS));
}
