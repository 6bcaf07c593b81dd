// SPDX-License-Identifier: Apache-2.0
//
// A program that closes every number from 3 on, one by one and by close_range(), goes on working,
// and the lowest free number is 3 again.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <sys/resource.h>

int main() {
  rlimit limit{};
  OM_SYS(getrlimit(RLIMIT_NOFILE, &limit));
  int kept = OM_SYS(open("/dev/null", O_RDWR));
  OM_CHECK_EQ(kept, 3);
  om_test_ready();
  om_test_wait_moved();
  int closed = 0;
  for (int fd = 3; fd < static_cast<int>(limit.rlim_cur); ++fd) {
    if (close(fd) == 0)
      ++closed;
    else
      OM_CHECK_EQ(errno, EBADF);
  }
  OM_CHECK_EQ(closed, 1);
  OM_CHECK_EQ(open("/dev/null", O_RDWR), 3);
  OM_CHECK_EQ(open("/dev/null", O_RDWR), 4);
  OM_SYS(close_range(3, ~0u, 0));
  OM_CHECK_ERRNO(fcntl(3, F_GETFD), EBADF);
  OM_CHECK_EQ(open("/dev/null", O_RDWR), 3);
  OM_SYS(close_range(3, ~0u, CLOSE_RANGE_CLOEXEC));
  OM_CHECK_EQ(fcntl(3, F_GETFD), FD_CLOEXEC);
  OM_CHECK_EQ(access("/dev/null", F_OK), 0);
  pid_t child = OM_SYS(fork());
  if (child == 0) _exit(0);
  om_test_join(child);
}
