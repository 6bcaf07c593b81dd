// SPDX-License-Identifier: Apache-2.0
//
// The old forms of calls that the C library no longer uses: open, creat, stat, fstat, lstat, pipe,
// dup3, getdents, mknod, utime, utimes, futimesat, epoll_create, eventfd, signalfd, getrlimit,
// setrlimit.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <utime.h>

static int call(long number, auto... arguments) {
  return static_cast<int>(OM_SYS(syscall(number, arguments...)));
}

static void check_files() {
  OmGuardedOut<struct stat> info;
  int fd = call(SYS_open, "file", O_RDWR | O_CREAT, 0640);
  OM_CHECK_EQ(call(SYS_write, fd, "1234567", 7), 7);
  call(SYS_stat, "file", &info);
  OM_CHECK_EQ(info->st_size, 7);
  call(SYS_fstat, fd, &info);
  OM_CHECK_EQ(info->st_mode, S_IFREG | 0640);
  OM_SYS(symlink("file", "link"));
  call(SYS_lstat, "link", &info);
  OM_CHECK(S_ISLNK(info->st_mode));
  call(SYS_mknod, "fifo", S_IFIFO | 0600, 0);
  call(SYS_mknodat, AT_FDCWD, "fifo2", S_IFIFO | 0600, 0);
  call(SYS_stat, "fifo2", &info);
  OM_CHECK(S_ISFIFO(info->st_mode));
  utimbuf old{11, 22};
  call(SYS_utime, "file", &old);
  call(SYS_stat, "file", &info);
  OM_CHECK_EQ(info->st_mtim.tv_sec, 22);
  timeval times[2] = {{33, 0}, {44, 5}};
  call(SYS_utimes, "file", times);
  call(SYS_futimesat, AT_FDCWD, "file", times);
  call(SYS_stat, "file", &info);
  OM_CHECK_EQ(info->st_mtim.tv_nsec, 5000);
  call(SYS_access, "file", R_OK);
  call(SYS_faccessat, AT_FDCWD, "file", R_OK);
  OM_CHECK_EQ(call(SYS_dup3, fd, 60, O_CLOEXEC), 60);
  OM_CHECK_EQ(fcntl(60, F_GETFD), FD_CLOEXEC);
  close(call(SYS_creat, "made", 0600));
  for (const char* name : {"file", "link", "fifo", "fifo2", "made"}) call(SYS_unlink, name);
}

static void check_directory() {
  call(SYS_mkdir, "dir", 0700);
  int fd = call(SYS_open, "dir", O_RDONLY | O_DIRECTORY);
  OmGuarded entries(256);
  int bytes = call(SYS_getdents, fd, entries.data(), 256);
  OM_CHECK_EQ(bytes, 48);  // "." and ".."
  OM_CHECK_EQ(call(SYS_getdents, fd, entries.data(), 256), 0);
  call(SYS_rmdir, "dir");
}

int main() {
  om_test_ready();
  om_test_wait_moved();
  check_files();
  check_directory();
  OmGuardedOut<int[2]> ends;
  call(SYS_pipe, &ends);
  int event = call(SYS_eventfd, 3);
  uint64_t value = 0;
  OM_CHECK_EQ(read(event, &value, 8), 8);
  OM_CHECK_EQ(value, 3);
  OM_CHECK(call(SYS_epoll_create, 1) > event);
  uint64_t mask = 1u << (SIGUSR1 - 1);
  OM_CHECK(call(SYS_signalfd, -1, &mask, 8) > event);
  OmGuardedOut<rlimit> limit;
  call(SYS_getrlimit, RLIMIT_NOFILE, &limit);
  OM_CHECK_EQ(limit->rlim_cur, 1024);
  limit->rlim_cur = 512;
  call(SYS_setrlimit, RLIMIT_NOFILE, &limit);
  OM_CHECK_ERRNO(dup2(0, 600), EBADF);
}
