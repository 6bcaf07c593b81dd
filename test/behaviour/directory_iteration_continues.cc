// SPDX-License-Identifier: Apache-2.0
//
// A directory that is half read before the move is read on after it: every name exactly once.
#include "test/lib/om_test.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <set>
#include <string>

int main() {
  OM_SYS(mkdir("many", 0700));
  for (int i = 0; i < 3000; ++i) {
    std::string name = "many/entry-with-a-rather-long-name-" + std::to_string(i);
    OM_SYS(close(OM_SYS(creat(name.c_str(), 0600))));
  }
  DIR* directory = opendir("many");
  OM_CHECK(directory != nullptr);
  std::set<std::string> seen;
  long position = -1;
  std::string at_position;
  while (dirent* entry = readdir(directory)) {
    OM_CHECK(seen.insert(entry->d_name).second);
    if (position >= 0 && at_position.empty()) at_position = entry->d_name;
    if (seen.size() == 700) position = telldir(directory);
    if (seen.size() == 1000) {
      om_test_ready();
      om_test_wait_moved();
    }
  }
  OM_CHECK_EQ(seen.size(), 3002);
  seekdir(directory, position);
  OM_CHECK_EQ(readdir(directory)->d_name, at_position.c_str());
  rewinddir(directory);
  size_t again = 0;
  while (readdir(directory) != nullptr) ++again;
  OM_CHECK_EQ(again, 3002);
  closedir(directory);
  for (const std::string& name : seen) {
    if (name[0] != '.') OM_SYS(unlink(("many/" + name).c_str()));
  }
  OM_SYS(rmdir("many"));
}
