// SPDX-License-Identifier: Apache-2.0
//
// FUTEX_WAIT with a relative timeout and FUTEX_WAIT_BITSET with an absolute one, each asleep during
// a move. The relative one may return 0 without a wake, as futex(2) says of every wait: then it is
// issued again with what remains.
// om-points: 2
#include "test/lib/om_test.h"

#include <linux/futex.h>
#include <sys/syscall.h>

static uint32_t g_word = 1;

int main() {
  timespec relative{1, 100000000};
  om_test_ready_blocking("futex");
  int64_t start = om_test_ns();
  for (long r = 0; r == 0;) {
    r = syscall(SYS_futex, &g_word, FUTEX_WAIT_PRIVATE, 1, &relative, nullptr, 0);
    if (r != 0) OM_CHECK_EQ(errno, ETIMEDOUT);
    int64_t left = start + 1100 * kMilli - om_test_ns();
    if (left < 0) left = 0;
    relative = {left / kSecond, left % kSecond};
  }
  OM_CHECK_TIME(start, 1100 * kMilli);
  om_test_wait_moved();

  int64_t until = om_test_ns() + 1100 * kMilli;
  timespec absolute{until / kSecond, until % kSecond};
  om_test_ready();  // away, a futex is not waited for at home: nobody could see it there
  OM_CHECK_ERRNO(syscall(SYS_futex, &g_word, FUTEX_WAIT_BITSET_PRIVATE, 1, &absolute, nullptr,
                         FUTEX_BITSET_MATCH_ANY),
                 ETIMEDOUT);
  OM_CHECK_TIME(until, 0);
  om_test_wait_moved();
}
