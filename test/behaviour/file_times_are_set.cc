// SPDX-License-Identifier: Apache-2.0
//
// utimensat, futimens and utimes set what stat reads; UTIME_OMIT and UTIME_NOW are honoured.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/time.h>

int main() {
  int fd = OM_SYS(open("file", O_RDWR | O_CREAT, 0600));
  om_test_ready();
  om_test_wait_moved();
  timespec times[2] = {{1000000000, 123456789}, {1100000000, 987654321}};
  OM_SYS(utimensat(AT_FDCWD, "file", times, 0));
  struct stat info {};
  OM_SYS(stat("file", &info));
  OM_CHECK_EQ(info.st_atim.tv_sec, 1000000000);
  OM_CHECK_EQ(info.st_atim.tv_nsec, 123456789);
  OM_CHECK_EQ(info.st_mtim.tv_sec, 1100000000);
  OM_CHECK_EQ(info.st_mtim.tv_nsec, 987654321);
  times[0].tv_nsec = UTIME_OMIT;
  times[1].tv_nsec = UTIME_NOW;
  int64_t before = om_test_ns(CLOCK_REALTIME);
  OM_SYS(futimens(fd, times));
  OM_SYS(stat("file", &info));
  OM_CHECK_EQ(info.st_atim.tv_sec, 1000000000);
  int64_t modified = info.st_mtim.tv_sec * kSecond + info.st_mtim.tv_nsec;
  OM_CHECK(modified > before - 10 * kSecond && modified < before + 10 * kSecond);
  timeval old[2] = {{5, 6}, {7, 8}};
  OM_SYS(utimes("file", old));
  OM_SYS(stat("file", &info));
  OM_CHECK_EQ(info.st_mtim.tv_sec, 7);
  OM_CHECK_EQ(info.st_mtim.tv_nsec, 8000);
}
