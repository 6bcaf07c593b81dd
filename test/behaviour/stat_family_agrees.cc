// SPDX-License-Identifier: Apache-2.0
//
// stat, lstat, fstat, fstatat and statx of the same file give the same plausible fields;
// out-parameters are written to the byte.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static void check(const struct stat& info, const struct stat& want) {
  OM_CHECK_EQ(info.st_dev, want.st_dev);
  OM_CHECK_EQ(info.st_ino, want.st_ino);
  OM_CHECK_EQ(info.st_mode, S_IFREG | 0640);
  OM_CHECK_EQ(info.st_nlink, 1);
  OM_CHECK_EQ(info.st_uid, getuid());
  OM_CHECK_EQ(info.st_gid, getgid());
  OM_CHECK_EQ(info.st_size, 100000);
  OM_CHECK_EQ(info.st_blocks, want.st_blocks);
  OM_CHECK_EQ(info.st_blksize, want.st_blksize);
  OM_CHECK_EQ(info.st_mtim.tv_sec, want.st_mtim.tv_sec);
  OM_CHECK_EQ(info.st_mtim.tv_nsec, want.st_mtim.tv_nsec);
  OM_CHECK_EQ(info.st_ctim.tv_nsec, want.st_ctim.tv_nsec);
}

int main() {
  int fd = OM_SYS(open("file", O_RDWR | O_CREAT, 0640));
  static char data[100000];
  OM_CHECK_EQ(write(fd, data, sizeof data), 100000);
  OM_SYS(fsync(fd));
  OM_SYS(symlink("file", "link"));
  struct stat want {};
  OM_SYS(fstat(fd, &want));
  om_test_ready();
  om_test_wait_moved();
  OmGuardedOut<struct stat> info;
  OM_SYS(stat("file", &info));
  check(*info, want);
  OM_SYS(stat("link", &info));
  check(*info, want);
  OM_SYS(fstat(fd, &info));
  check(*info, want);
  OM_SYS(fstatat(AT_FDCWD, "file", &info, AT_SYMLINK_NOFOLLOW));
  check(*info, want);
  OM_SYS(fstatat(fd, "", &info, AT_EMPTY_PATH));
  check(*info, want);
  OM_SYS(lstat("link", &info));
  OM_CHECK(S_ISLNK(info->st_mode));
  OM_CHECK_EQ(info->st_size, 4);
  OM_SYS(stat("/dev/null", &info));
  OM_CHECK(S_ISCHR(info->st_mode) && info->st_rdev == makedev(1, 3));
  OmGuardedOut<struct statx> more;
  OM_SYS(statx(AT_FDCWD, "file", 0, STATX_BASIC_STATS, &more));
  OM_CHECK_EQ(more->stx_ino, want.st_ino);
  OM_CHECK_EQ(more->stx_size, 100000);
  OM_CHECK_EQ(more->stx_mode, S_IFREG | 0640);
  OM_CHECK_EQ(makedev(more->stx_dev_major, more->stx_dev_minor), want.st_dev);
  OM_CHECK_ERRNO(stat("none", &info), ENOENT);
  OM_CHECK_ERRNO(stat("file/none", &info), ENOTDIR);
  OM_CHECK_ERRNO(fstat(900, &info), EBADF);
}
