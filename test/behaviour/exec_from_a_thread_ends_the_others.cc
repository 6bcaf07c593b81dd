// SPDX-License-Identifier: Apache-2.0
//
// execve by a thread that is not the first one, while others compute and block: the new program has
// the process id and one thread.
#include "test/lib/om_test.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/syscall.h>

int main(int argc, char** argv) {
  if (argc == 2) {
    OM_CHECK_EQ(syscall(SYS_gettid), getpid());
    int tasks = 0;
    DIR* directory = opendir("/proc/self/task");
    OM_CHECK(directory != nullptr);
    while (dirent* entry = readdir(directory)) tasks += entry->d_name[0] != '.';
    OM_CHECK_EQ(tasks, 1);
    puts("alone");
    return 0;
  }
  static char self[4096];
  OM_SYS(readlink("/proc/self/exe", self, sizeof self - 1));
  int ends[2];
  OM_SYS(pipe(ends));
  om_test_ready();
  OmThread spinner([] {
    for (;;) asm volatile("");
  });
  OmThread leaver([&] {
    om_test_wait_moved();
    execl(self, argv[0], "again", nullptr);
    OM_CHECK(false);
  });
  char c;
  OM_CHECK_EQ(read(ends[0], &c, 1), 1);
}
