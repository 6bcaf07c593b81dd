// SPDX-License-Identifier: Apache-2.0
//
// Limits set before the move read back after it and are enforced; new ones can be set. The limit of
// open files is the program's own.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>

static rlimit get(__rlimit_resource_t what) {
  OmGuardedOut<rlimit> now;
  OM_SYS(getrlimit(what, &now));
  return *now;
}

int main() {
  rlimit before[RLIM_NLIMITS];
  rlimit files = get(RLIMIT_NOFILE), size = get(RLIMIT_FSIZE);
  files.rlim_cur = 64;
  OM_SYS(setrlimit(RLIMIT_NOFILE, &files));
  size.rlim_cur = 5000;
  OM_SYS(setrlimit(RLIMIT_FSIZE, &size));
  for (int i = 0; i < RLIM_NLIMITS; ++i) before[i] = get(static_cast<__rlimit_resource_t>(i));
  om_test_ready();
  om_test_wait_moved();
  for (int i = 0; i < RLIM_NLIMITS; ++i) {
    rlimit now = get(static_cast<__rlimit_resource_t>(i));
    OM_CHECK_EQ(now.rlim_cur, before[i].rlim_cur);
    OM_CHECK_EQ(now.rlim_max, before[i].rlim_max);
  }
  int opened = 0;
  while (open("/dev/null", O_RDONLY) >= 0) ++opened;
  OM_CHECK_EQ(errno, EMFILE);
  OM_CHECK_EQ(opened, 61);
  OM_CHECK_ERRNO(dup2(0, 64), EBADF);
  close(40);
  signal(SIGXFSZ, SIG_IGN);
  static char data[10000];
  int fd = OM_SYS(creat("file", 0600));
  OM_CHECK_EQ(write(fd, data, sizeof data), 5000);
  OM_CHECK_ERRNO(write(fd, data, 1), EFBIG);
  OmGuardedOut<rlimit> old;
  files.rlim_cur = 100;
  OM_SYS(prlimit(getpid(), RLIMIT_NOFILE, &files, &old));
  OM_CHECK_EQ(old->rlim_cur, 64);
  OM_CHECK_EQ(get(RLIMIT_NOFILE).rlim_cur, 100);
  OM_CHECK_EQ(dup2(0, 99), 99);
  rlimit wrong{10, 5};
  OM_CHECK_ERRNO(setrlimit(RLIMIT_NOFILE, &wrong), EINVAL);
}
