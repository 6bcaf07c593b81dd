// SPDX-License-Identifier: Apache-2.0
//
// umask() set before the move applies to what is made after it; chmod, fchmod and access follow.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <sys/stat.h>

static mode_t mode_of(const char* path) {
  struct stat info {};
  OM_SYS(lstat(path, &info));
  return info.st_mode & 07777;
}

int main() {
  umask(037);
  om_test_ready();
  om_test_wait_moved();
  int fd = OM_SYS(open("file", O_RDWR | O_CREAT, 0777));
  OM_CHECK_EQ(mode_of("file"), 0740);
  OM_SYS(mkdir("dir", 0777));
  OM_CHECK_EQ(mode_of("dir"), 0740);
  OM_CHECK_EQ(umask(0), 037);
  OM_SYS(mkfifo("fifo", 0666));
  OM_CHECK_EQ(mode_of("fifo"), 0666);
  OM_SYS(chmod("file", 0400));
  OM_CHECK_EQ(mode_of("file"), 0400);
  OM_CHECK_EQ(access("file", R_OK), 0);
  if (geteuid() != 0) OM_CHECK_ERRNO(access("file", W_OK), EACCES);
  OM_CHECK_ERRNO(access("file", 0100), EINVAL);
  OM_SYS(fchmod(fd, 0711));
  OM_CHECK_EQ(mode_of("file"), 0711);
  OM_CHECK_EQ(faccessat(AT_FDCWD, "file", X_OK, AT_EACCESS), 0);
  OM_SYS(fchmodat(AT_FDCWD, "file", 0600, 0));
  OM_CHECK_EQ(mode_of("file"), 0600);
  OM_SYS(chown("file", getuid(), static_cast<gid_t>(-1)));
  OM_SYS(fchown(fd, static_cast<uid_t>(-1), getgid()));
  OM_SYS(lchown("file", getuid(), getgid()));
  OM_SYS(fchownat(AT_FDCWD, "file", getuid(), getgid(), AT_SYMLINK_NOFOLLOW));
  OM_CHECK_ERRNO(fchown(900, 0, 0), EBADF);
  OM_CHECK_ERRNO(chmod("none", 0600), ENOENT);
}
