// SPDX-License-Identifier: Apache-2.0
//
// A pipe's capacity, packet mode and fill level survive; non-blocking ends give EAGAIN at the right
// moment.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <sys/ioctl.h>

int main() {
  int ends[2], packets[2];
  OM_SYS(pipe2(ends, O_NONBLOCK));
  OM_SYS(pipe2(packets, O_DIRECT | O_NONBLOCK));
  int capacity = OM_SYS(fcntl(ends[1], F_SETPIPE_SZ, 16384));
  static char data[65536];
  OM_CHECK_EQ(write(ends[1], data, 10000), 10000);
  OM_CHECK_EQ(write(packets[1], "abc", 3), 3);
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_EQ(fcntl(ends[1], F_GETPIPE_SZ), capacity);
  OmGuardedOut<int> queued;
  OM_SYS(ioctl(ends[0], FIONREAD, &queued));
  OM_CHECK_EQ(*queued, 10000);
  OM_CHECK_EQ(write(ends[1], data, sizeof data), capacity - 12288);
  OM_CHECK_ERRNO(write(ends[1], data, 1 << 13), EAGAIN);
  OM_CHECK_EQ(read(ends[0], data, 4096), 4096);
  OM_CHECK_EQ(write(packets[1], "defg", 4), 4);
  OM_CHECK_EQ(read(packets[0], data, 100), 3);
  OM_CHECK_EQ(read(packets[0], data, 100), 4);
  OM_CHECK_ERRNO(read(packets[0], data, 100), EAGAIN);
}
