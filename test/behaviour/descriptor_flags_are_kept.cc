// SPDX-License-Identifier: Apache-2.0
//
// File status and descriptor flags survive and can be changed: O_NONBLOCK, O_APPEND, FD_CLOEXEC.
#include "test/lib/om_test.h"

#include <fcntl.h>

int main() {
  int ends[2];
  OM_SYS(pipe2(ends, O_CLOEXEC | O_NONBLOCK));
  int file = OM_SYS(open("data", O_RDWR | O_CREAT | O_APPEND | O_SYNC, 0600));
  int flags = fcntl(file, F_GETFL);
  char c;
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_EQ(fcntl(ends[0], F_GETFD), FD_CLOEXEC);
  OM_CHECK_EQ(fcntl(ends[0], F_GETFL), O_RDONLY | O_NONBLOCK);
  OM_CHECK_EQ(fcntl(ends[1], F_GETFL), O_WRONLY | O_NONBLOCK);
  OM_CHECK_EQ(fcntl(file, F_GETFD), 0);
  OM_CHECK_EQ(fcntl(file, F_GETFL), flags);
  OM_CHECK_ERRNO(read(ends[0], &c, 1), EAGAIN);
  OM_SYS(fcntl(ends[0], F_SETFD, 0));
  OM_CHECK_EQ(fcntl(ends[0], F_GETFD), 0);
  OM_SYS(fcntl(file, F_SETFL, flags & ~O_APPEND));
  OM_CHECK_EQ(fcntl(file, F_GETFL), flags & ~O_APPEND);
  int copy = OM_SYS(fcntl(file, F_DUPFD_CLOEXEC, 30));
  OM_CHECK_EQ(copy, 30);
  OM_CHECK_EQ(fcntl(copy, F_GETFD), FD_CLOEXEC);
  OM_CHECK_ERRNO(fcntl(999, F_GETFL), EBADF);
  OM_CHECK_ERRNO(fcntl(file, 12345), EINVAL);
}
