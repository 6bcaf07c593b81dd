// SPDX-License-Identifier: Apache-2.0
//
// unshare() of what an ordinary process may leave (descriptor table, file system facts) after the
// move.
// om-points: each
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>

static void move() {
  om_test_ready();
  om_test_wait_moved();
}

int main() {
  move();
  OM_SYS(unshare(CLONE_FILES));
  OM_CHECK_EQ(open("/dev/null", O_RDONLY), 3);
  move();
  OM_SYS(unshare(CLONE_FS));
  OM_SYS(mkdir("below", 0700));
  OM_SYS(chdir("below"));
  OM_CHECK_EQ(access("../below", F_OK), 0);
  move();
  OM_CHECK_ERRNO(unshare(0x12345), EINVAL);
  OM_CHECK_ERRNO(setns(3, 0), EINVAL);
}
