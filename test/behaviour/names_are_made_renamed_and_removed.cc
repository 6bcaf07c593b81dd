// SPDX-License-Identifier: Apache-2.0
//
// mkdir, rmdir, rename, renameat2, link, unlink and their errors after the move.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/stat.h>

int main() {
  OM_SYS(mkdir("old", 0700));
  OM_SYS(close(OM_SYS(creat("old/file", 0600))));
  om_test_ready();
  om_test_wait_moved();
  OM_SYS(rename("old", "new"));
  OM_CHECK_ERRNO(access("old", F_OK), ENOENT);
  OM_SYS(link("new/file", "new/second"));
  struct stat info {};
  OM_SYS(stat("new/second", &info));
  OM_CHECK_EQ(info.st_nlink, 2);
  OM_CHECK_ERRNO(rmdir("new"), ENOTEMPTY);
  OM_CHECK_ERRNO(mkdir("new", 0700), EEXIST);
  OM_CHECK_ERRNO(unlink("new"), EISDIR);
  OM_CHECK_ERRNO(link("new/file", "new/second"), EEXIST);
  OM_SYS(close(OM_SYS(creat("third", 0600))));
  OM_CHECK_ERRNO(renameat2(AT_FDCWD, "third", AT_FDCWD, "new/file", RENAME_NOREPLACE), EEXIST);
  OM_SYS(rename("third", "new/file"));
  OM_SYS(stat("new/second", &info));
  OM_CHECK_EQ(info.st_nlink, 1);
  OM_SYS(unlink("new/file"));
  OM_SYS(unlinkat(AT_FDCWD, "new/second", 0));
  OM_SYS(unlinkat(AT_FDCWD, "new", AT_REMOVEDIR));
  OM_CHECK_ERRNO(rename("nothing", "other"), ENOENT);
}
