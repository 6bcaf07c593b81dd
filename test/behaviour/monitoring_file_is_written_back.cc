// SPDX-License-Identifier: Apache-2.0
//
// A file that is mapped shared and written to for others to look at, as the monitoring file of a Java VM, does not keep
// the process at home; others see what it stores, soon, without any call of its own.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <string>

int main() {
  const std::string folder = "/tmp/hsperfdata_om_test_" + std::to_string(getpid());
  const std::string path = folder + "/" + std::to_string(getpid());
  if (mkdir(folder.c_str(), 0700) != 0) om_test_skip("no folder in /tmp");
  int fd = OM_SYS(open(path.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600));
  OM_SYS(ftruncate(fd, 32768));
  auto* words = static_cast<volatile int*>(
      OM_SYS(mmap(nullptr, 32768, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)));
  OM_SYS(close(fd));
  words[4000] = 3;
  int ends[2];
  OM_SYS(pipe(ends));
  pid_t reader = om_test_helper([&] {
    int file = OM_SYS(open(path.c_str(), O_RDONLY));
    for (int seen = 0; seen != 7;) {
      OM_CHECK_EQ(pread(file, &seen, sizeof seen, 16000), static_cast<ssize_t>(sizeof seen));
      usleep(1000);
    }
    OM_CHECK_EQ(write(ends[1], "7", 1), 1);
  });
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_EQ(words[4000], 3);
  words[4000] = 7;
  char answer = 0;
  OM_CHECK_EQ(read(ends[0], &answer, 1), 1);
  om_test_join(reader);
  words[1] = 5;
  OM_SYS(munmap(const_cast<int*>(words), 32768));
  fd = OM_SYS(open(path.c_str(), O_RDONLY));
  int last[2] = {};
  OM_CHECK_EQ(read(fd, last, sizeof last), static_cast<ssize_t>(sizeof last));
  OM_CHECK_EQ(last[1], 5);
  OM_SYS(unlink(path.c_str()));
  OM_SYS(rmdir(folder.c_str()));
}
