// SPDX-License-Identifier: Apache-2.0
//
// openat, mkdirat, unlinkat and friends relative to a descriptor opened before the move.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

int main() {
  OM_SYS(mkdir("dir", 0700));
  int dir = OM_SYS(open("dir", O_RDONLY | O_DIRECTORY));
  int path = OM_SYS(open("dir", O_PATH));
  om_test_ready();
  om_test_wait_moved();
  int fd = OM_SYS(openat(dir, "file", O_RDWR | O_CREAT | O_EXCL, 0600));
  OM_CHECK_EQ(write(fd, "x", 1), 1);
  OM_CHECK_ERRNO(openat(dir, "file", O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
  OM_SYS(mkdirat(path, "sub", 0700));
  OM_SYS(symlinkat("../file", path, "sub/up"));
  OM_SYS(fchdir(path));
  OM_CHECK_EQ(faccessat(dir, "sub/up", R_OK, 0), 0);
  OM_SYS(renameat(dir, "file", path, "sub/file"));
  OM_CHECK_ERRNO(openat(dir, "file", O_RDONLY), ENOENT);
  OM_CHECK_ERRNO(openat(fd, "below", O_RDONLY), ENOTDIR);
  char c;
  OM_CHECK_ERRNO(read(path, &c, 1), EBADF);
  OM_CHECK_ERRNO(openat(dir, "sub/up", O_RDONLY | O_NOFOLLOW), ELOOP);
  OM_SYS(unlinkat(dir, "sub/up", 0));
  OM_SYS(unlinkat(dir, "sub/file", 0));
  OM_SYS(unlinkat(path, "sub", AT_REMOVEDIR));
  OM_CHECK_ERRNO(openat(dir, "x", O_RDONLY | O_DIRECTORY), ENOENT);
}
