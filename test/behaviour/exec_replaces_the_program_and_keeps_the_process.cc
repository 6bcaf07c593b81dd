// SPDX-License-Identifier: Apache-2.0
//
// execve after the move: same pid, parent and open descriptors, new program, output goes on in
// order.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char** argv) {
  if (argc == 4) {  // the second program
    OM_CHECK_EQ(atoi(argv[1]), getpid());
    OM_CHECK_EQ(atoi(argv[2]), getppid());
    OM_CHECK_EQ(fcntl(20, F_GETFD), 0);
    OM_CHECK_ERRNO(fcntl(21, F_GETFD), EBADF);
    OM_CHECK_EQ(static_cast<const char*>(getenv("OM_BEHAVIOUR")), "passed on");
    OM_CHECK_EQ(static_cast<const char*>(argv[3]), "an argument with  spaces");
    char c = 0;
    OM_CHECK_EQ(read(20, &c, 1), 1);
    puts("second program");
    return 0;
  }
  int ends[2];
  OM_SYS(pipe(ends));
  OM_CHECK_EQ(write(ends[1], "x", 1), 1);
  OM_SYS(dup2(ends[0], 20));
  OM_SYS(fcntl(OM_SYS(dup2(ends[0], 21)), F_SETFD, FD_CLOEXEC));
  OM_SYS(setenv("OM_BEHAVIOUR", "passed on", 1));
  om_test_ready();
  om_test_wait_moved();
  printf("first program\n");
  fflush(stdout);
  char self[4096] = {}, pid[16], parent[16];
  OM_SYS(readlink("/proc/self/exe", self, sizeof self - 1));
  snprintf(pid, sizeof pid, "%d", getpid());
  snprintf(parent, sizeof parent, "%d", getppid());
  OM_CHECK_ERRNO(execl("./no-such-program", "x", nullptr), ENOENT);
  execl(self, argv[0], pid, parent, "an argument with  spaces", nullptr);
  OM_CHECK(false);
}
