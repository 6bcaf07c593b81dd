// SPDX-License-Identifier: Apache-2.0
//
// POSIX shared memory that has lost the name it was opened by, and has another one, keeps the process at home: anybody
// can still open it.
// om-expect: refused SHARED_WRITABLE
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <string>

int main() {
  const std::string name = "/om-named-" + std::to_string(getpid()), other = name + "-too";
  int fd = shm_open(name.c_str(), O_CREAT | O_EXCL | O_RDWR, 0600);
  if (fd < 0) om_test_skip("no POSIX shared memory here");
  OM_SYS(link(("/dev/shm" + name).c_str(), ("/dev/shm" + other).c_str()));
  OM_SYS(shm_unlink(name.c_str()));
  OM_SYS(ftruncate(fd, 4096));
  auto* words = static_cast<volatile int*>(
      OM_SYS(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)));
  OM_SYS(close(fd));
  om_test_ready();
  om_test_wait_moved();
  int again = OM_SYS(shm_open(other.c_str(), O_RDWR, 0));
  words[0] = 5;
  int seen = 0;
  OM_CHECK_EQ(pread(again, &seen, sizeof seen, 0), static_cast<ssize_t>(sizeof seen));
  OM_CHECK_EQ(seen, 5);
  OM_SYS(shm_unlink(other.c_str()));
}
