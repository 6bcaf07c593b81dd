// SPDX-License-Identifier: Apache-2.0
//
// /proc/self/fd and /proc/self/fdinfo list exactly the program's own descriptors, and numbers of
// others are closed for it.
// om-points: moves
#include "test/lib/om_test.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <set>

static std::set<int> listed(const char* path) {
  std::set<int> found;
  DIR* directory = opendir(path);
  OM_CHECK(directory != nullptr);
  int own = dirfd(directory);
  while (dirent* entry = readdir(directory)) {
    if (entry->d_name[0] != '.' && atoi(entry->d_name) != own) found.insert(atoi(entry->d_name));
  }
  closedir(directory);
  return found;
}

int main() {
  OM_SYS(open("/dev/null", O_RDWR));
  OM_SYS(dup2(0, 500));
  const std::set<int> want{0, 1, 2, 3, 500};
  OM_CHECK(listed("/proc/self/fd") == want);
  for (int i = 0; i < om_test_moves() || i == 0; ++i) {
    om_test_ready();
    om_test_wait_moved();
    OM_CHECK(listed("/proc/self/fd") == want);
    OM_CHECK(listed("/proc/self/fdinfo") == want);
    for (int fd = 0; fd < 1024; ++fd) {
      OM_CHECK_EQ(fcntl(fd, F_GETFD) == 0, want.count(fd) == 1);
    }
  }
}
