// SPDX-License-Identifier: Apache-2.0
//
// flock() waits for a lock across the move and gets it when the holder lets go.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <sys/file.h>

int main() {
  int holder = OM_SYS(open("lock", O_RDWR | O_CREAT, 0600));
  int waiter = OM_SYS(open("lock", O_RDWR));
  OM_SYS(flock(holder, LOCK_EX));
  pid_t other = om_test_helper([&] { OM_SYS(flock(holder, LOCK_UN)); });
  om_test_ready_blocking("flock");
  OM_CHECK_EQ(flock(waiter, LOCK_EX), 0);
  OM_CHECK_ERRNO(flock(holder, LOCK_SH | LOCK_NB), EWOULDBLOCK);
  om_test_join(other);
}
