// SPDX-License-Identifier: Apache-2.0
//
// FUTEX_WAIT of one thread is under way during the move; FUTEX_WAKE of another one ends it.
#include "test/lib/om_test.h"

#include <linux/futex.h>
#include <sys/syscall.h>

static uint32_t g_word = 5;

int main() {
  om_test_ready_blocking("futex");
  OmThread waker([] {
    om_test_wait_moved();
    __atomic_store_n(&g_word, 6, __ATOMIC_SEQ_CST);
    syscall(SYS_futex, &g_word, FUTEX_WAKE, 1, nullptr, nullptr, 0);
  });
  while (__atomic_load_n(&g_word, __ATOMIC_SEQ_CST) == 5) {
    long result = syscall(SYS_futex, &g_word, FUTEX_WAIT, 5, nullptr, nullptr, 0);
    OM_CHECK(result == 0 || errno == EAGAIN);
  }
  OM_CHECK_ERRNO(syscall(SYS_futex, &g_word, FUTEX_WAIT, 5, nullptr, nullptr, 0), EAGAIN);
}
