// SPDX-License-Identifier: Apache-2.0
//
// statfs, fstatfs and statvfs after the move tell the same file system as before.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>

int main() {
  struct statfs before {};
  OM_SYS(statfs(".", &before));
  int fd = OM_SYS(open(".", O_RDONLY));
  om_test_ready();
  om_test_wait_moved();
  OmGuardedOut<struct statfs> after;
  OM_SYS(statfs(".", &after));
  OM_CHECK_EQ(after->f_type, before.f_type);
  OM_CHECK_EQ(after->f_bsize, before.f_bsize);
  OM_CHECK_EQ(after->f_blocks, before.f_blocks);
  OM_CHECK_EQ(after->f_namelen, before.f_namelen);
  OM_SYS(fstatfs(fd, &after));
  OM_CHECK_EQ(after->f_type, before.f_type);
  OM_SYS(statfs("/proc", &after));
  OM_CHECK_EQ(after->f_type, 0x9fa0);
  OmGuardedOut<struct statvfs> more;
  OM_SYS(statvfs(".", &more));
  OM_CHECK_EQ(more->f_bsize, before.f_bsize);
  OM_CHECK_ERRNO(statfs("none", &after), ENOENT);
}
