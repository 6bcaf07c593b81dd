// SPDX-License-Identifier: Apache-2.0
//
// A thread that takes a descriptor table of its own by close_range(CLOSE_RANGE_UNSHARE) after the move has the
// program's descriptors in it and no others.
#include "test/lib/om_test.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <set>

static std::set<int> listed() {
  std::set<int> found;
  DIR* directory = opendir("/proc/thread-self/fd");
  OM_CHECK(directory != nullptr);
  const int own = dirfd(directory);
  while (dirent* entry = readdir(directory)) {
    if (entry->d_name[0] != '.' && atoi(entry->d_name) != own) found.insert(atoi(entry->d_name));
  }
  closedir(directory);
  return found;
}

int main() {
  for (int fd = 3; fd < 7; fd++) OM_SYS(dup2(0, fd));
  om_test_ready();
  om_test_wait_moved();
  OmThread([] {
    OM_SYS(syscall(SYS_close_range, 5, 6, CLOSE_RANGE_UNSHARE));
    OM_CHECK(listed() == (std::set<int>{0, 1, 2, 3, 4}));
    om_test_join(om_test_helper([] {}));  // forking needs home, where nothing is hidden
    OM_CHECK(listed() == (std::set<int>{0, 1, 2, 3, 4}));
    OM_CHECK_ERRNO(fcntl(6, F_GETFD), EBADF);
  }).join();
  OM_CHECK(listed() == (std::set<int>{0, 1, 2, 3, 4, 5, 6}));
}
