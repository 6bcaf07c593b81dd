// SPDX-License-Identifier: Apache-2.0
//
// /proc/PID/fd and fdinfo of another process list all its descriptors, whatever their numbers.
#include "test/lib/om_test.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <algorithm>
#include <set>
#include <string>

static std::set<int> listed(pid_t pid, const char* name) {
  std::set<int> found;
  DIR* directory = opendir(("/proc/" + std::to_string(pid) + name).c_str());
  OM_CHECK(directory != nullptr);
  while (dirent* entry = readdir(directory)) {
    if (entry->d_name[0] != '.') found.insert(atoi(entry->d_name));
  }
  closedir(directory);
  return found;
}

int main() {
  int ready[2], end[2];
  OM_SYS(pipe(ready));
  OM_SYS(pipe(end));
  const pid_t other = OM_SYS(fork());
  if (other == 0) {
    close(end[1]);
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    // Wherever there would be place for a row of some hundred.
    const int most = static_cast<int>(std::min<rlim_t>(limit.rlim_max, 65536));
    for (int fd = 100; fd < most; fd += 50) dup2(0, fd);
    dup2(0, most - 1);
    char c = 0;
    _exit(write(ready[1], &c, 1) == 1 && read(end[0], &c, 1) == 0 ? 0 : 1);
  }
  char c;
  OM_CHECK_EQ(read(ready[0], &c, 1), 1);
  const std::set<int> before = listed(other, "/fd");
  OM_CHECK(before.size() > 8);
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK(listed(other, "/fd") == before);
  OM_CHECK(listed(other, "/fdinfo") == before);
  close(end[1]);
  om_test_join(other);
}
