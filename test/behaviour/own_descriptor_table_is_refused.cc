// SPDX-License-Identifier: Apache-2.0
//
// A process one of whose threads has a descriptor table of its own stays at home, and that thread goes on.
// om-expect: refused FD_TABLE
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <sched.h>
#include <atomic>

int main() {
  int ends[2];
  OM_SYS(pipe(ends));
  std::atomic<int> rounds{0};
  OmThread other([&] {
    OM_SYS(unshare(CLONE_FILES));
    OM_SYS(dup2(ends[1], 400));  // the other threads do not have it
    rounds = 1;
    while (rounds >= 0) {
      if (write(400, "x", 1) == 1) rounds++;
      timespec pause{0, 5 * kMilli};
      nanosleep(&pause, nullptr);
      if (rounds > 1 << 14) break;  // less than the pipe has room for
    }
  });
  while (rounds == 0) sched_yield();
  OM_CHECK_ERRNO(fcntl(400, F_GETFD), EBADF);
  om_test_ready();
  om_test_wait_moved();
  const int before = rounds;
  while (rounds < before + 5) sched_yield();
  rounds = -1;
  other.join();
  char c;
  OM_CHECK_EQ(read(ends[0], &c, 1), 1);
}
