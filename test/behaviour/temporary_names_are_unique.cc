// SPDX-License-Identifier: Apache-2.0
//
// mkstemp, mkostemp and mkdtemp after the move give new names, files and directories.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <set>
#include <string>

int main() {
  om_test_ready();
  om_test_wait_moved();
  std::set<std::string> names;
  for (int i = 0; i < 30; ++i) {
    char file[] = "tmp-XXXXXX", directory[] = "dir-XXXXXX";
    int fd = i % 2 ? OM_SYS(mkstemp(file)) : OM_SYS(mkostemp(file, O_CLOEXEC));
    OM_CHECK_EQ(fcntl(fd, F_GETFD), i % 2 ? 0 : FD_CLOEXEC);
    OM_CHECK(mkdtemp(directory) == directory);
    struct stat info {};
    OM_SYS(stat(directory, &info));
    OM_CHECK(S_ISDIR(info.st_mode));
    OM_CHECK(names.insert(file).second && names.insert(directory).second);
    OM_SYS(close(fd));
  }
  for (const std::string& name : names)
    OM_SYS(name[0] == 'd' ? rmdir(name.c_str()) : unlink(name.c_str()));
}
