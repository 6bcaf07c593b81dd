// SPDX-License-Identifier: Apache-2.0
//
// openat2() by each of its rules and with structures of other sizes, O_PATH and O_TMPFILE, statx() by mask, handles
// of files before and after the move, and close_range() in all its forms.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static int g_dir;

static int by(const char* path, uint64_t resolve, uint64_t flags = O_RDONLY, size_t size = 24) {
  OmGuarded how(size);
  memset(how.data(), 0, size);
  auto* h = how.as<open_how>();
  h->flags = flags;
  h->resolve = resolve;
  const long fd = syscall(SYS_openat2, g_dir, path, how.data(), size);
  if (fd < 0) return -errno;
  close(static_cast<int>(fd));
  return 0;
}

static void rules() {
  OM_CHECK_EQ(by("sub/file", RESOLVE_BENEATH), 0);
  OM_CHECK_EQ(by("../dir/sub/file", RESOLVE_BENEATH), -EXDEV);
  OM_CHECK_EQ(by("absolute", RESOLVE_BENEATH), -EXDEV);
  OM_CHECK_EQ(by("absolute", RESOLVE_IN_ROOT), 0);
  OM_CHECK_EQ(by("/sub/file", RESOLVE_IN_ROOT), 0);
  OM_CHECK_EQ(by("absolute", 0), -ENOENT);
  OM_CHECK_EQ(by("relative", RESOLVE_NO_SYMLINKS), -ELOOP);
  OM_CHECK_EQ(by("relative", 0), 0);
  OM_CHECK_EQ(by("/proc/self/exe", RESOLVE_NO_MAGICLINKS), -ELOOP);
  OM_CHECK_EQ(by("/proc/self/exe", 0), 0);
  OM_CHECK_EQ(by("/proc/version", RESOLVE_NO_XDEV), -EXDEV);
  const int cached = by("sub/file", RESOLVE_CACHED);
  OM_CHECK(cached == 0 || cached == -EAGAIN || cached == -EINVAL);
  OM_CHECK_EQ(by("sub/file", 1 << 20), -EINVAL);
  OM_CHECK_EQ(by("sub/file", 0, O_RDONLY, 64), 0);
  OM_CHECK_EQ(by("sub/file", 0, O_PATH), 0);
  OM_CHECK_EQ(by("sub/file", 0, O_PATH | O_RDWR), -EINVAL);
  uint64_t how[4] = {O_RDONLY, 0, 0, 1};
  OM_CHECK_ERRNO(syscall(SYS_openat2, g_dir, "sub", how, sizeof how), E2BIG);
  OM_CHECK_ERRNO(syscall(SYS_openat2, g_dir, "sub", how, 16), EINVAL);
}

static void handles(const char* before, unsigned size, int mount) {
  OmGuarded handle(8 + size);
  OmGuardedOut<int> where;
  auto* h = handle.as<file_handle>();
  h->handle_bytes = 0;
  OM_CHECK_ERRNO(name_to_handle_at(g_dir, "sub/file", h, &where, 0), EOVERFLOW);
  OM_CHECK_EQ(h->handle_bytes, size);
  OM_SYS(name_to_handle_at(g_dir, "sub/file", h, &where, 0));
  OM_CHECK_EQ(*where, mount);
  OM_CHECK(memcmp(h->f_handle, before + 8, size) == 0);
  const int fd = open_by_handle_at(AT_FDCWD, h, O_RDONLY);
  OM_CHECK(fd >= 0 || errno == EPERM || errno == ESTALE || errno == EOPNOTSUPP);
  if (fd >= 0) close(fd);
}

static void unnamed() {
  const int fd = open(".", O_TMPFILE | O_RDWR, 0600);
  if (fd < 0) return;  // not on this file system
  OM_CHECK_EQ(write(fd, "later", 5), 5);
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  OM_SYS(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
  OmGuardedOut<struct statx> info;
  OM_SYS(statx(fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_SIZE | STATX_NLINK | STATX_BTIME,
               &info));
  OM_CHECK_EQ(info->stx_size, 5);
  OM_CHECK_EQ(info->stx_nlink, 1);
  OM_CHECK_ERRNO(statx(fd, "", AT_EMPTY_PATH, 1u << 31, &info), EINVAL);
  OM_CHECK_ERRNO(statx(fd, "", 0, STATX_SIZE, &info), ENOENT);
  OM_SYS(unlink("named"));
  close(fd);
}

static void ranges() {
  const int low = OM_SYS(dup(g_dir));
  OM_SYS(dup2(g_dir, 70));
  OM_SYS(dup2(g_dir, 80));
  OM_SYS(close_range(70, 75, 0));
  OM_CHECK_ERRNO(fcntl(70, F_GETFD), EBADF);
  OM_SYS(close_range(80, ~0u, CLOSE_RANGE_CLOEXEC));
  OM_CHECK_EQ(fcntl(80, F_GETFD), FD_CLOEXEC);
  OM_CHECK_EQ(fcntl(low, F_GETFD), 0);
  OM_SYS(close_range(80, 90, CLOSE_RANGE_UNSHARE));
  OM_CHECK_ERRNO(fcntl(80, F_GETFD), EBADF);
  OM_CHECK_ERRNO(close_range(5, 4, 0), EINVAL);
  OM_CHECK_ERRNO(close_range(5, 6, 1u << 10), EINVAL);
  close(low);
}

int main() {
  OM_SYS(mkdir("dir", 0700));
  OM_SYS(mkdir("dir/sub", 0700));
  close(OM_SYS(open("dir/sub/file", O_RDWR | O_CREAT, 0600)));
  OM_SYS(symlink("/sub/file", "dir/absolute"));
  OM_SYS(symlink("sub/file", "dir/relative"));
  g_dir = OM_SYS(open("dir", O_PATH | O_DIRECTORY));
  char before[8 + MAX_HANDLE_SZ] = {};
  auto* handle = reinterpret_cast<file_handle*>(before);
  handle->handle_bytes = MAX_HANDLE_SZ;
  int mount = 0;
  const bool has_handles = name_to_handle_at(g_dir, "sub/file", handle, &mount, 0) == 0;
  om_test_ready();
  om_test_wait_moved();
  rules();
  unnamed();
  ranges();
  if (has_handles) handles(before, handle->handle_bytes, mount);
}
