// SPDX-License-Identifier: Apache-2.0
//
// A private file mapping keeps its changes and does not write them to the file; made after the move
// it has the file's contents at home.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

int main() {
  constexpr size_t kBytes = 20000;
  static char data[kBytes];
  for (size_t i = 0; i < kBytes; ++i) data[i] = static_cast<char>(i % 101);
  int fd = OM_SYS(open("file", O_RDWR | O_CREAT, 0600));
  OM_CHECK_EQ(write(fd, data, kBytes), kBytes);
  char* before =
      static_cast<char*>(OM_SYS(mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0)));
  before[5000] = 'x';
  om_test_ready();
  om_test_wait_moved();
  before[15000] = 'y';
  char* after = static_cast<char*>(
      OM_SYS(mmap(nullptr, kBytes - 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 4096)));
  close(fd);
  for (size_t i = 0; i < kBytes; ++i) {
    OM_CHECK_EQ(before[i], i == 5000 ? 'x' : i == 15000 ? 'y' : static_cast<char>(i % 101));
    if (i >= 4096) OM_CHECK_EQ(after[i - 4096], i % 101);
  }
  for (size_t i = kBytes; i < 20480; ++i) OM_CHECK_EQ(after[i - 4096], 0);  // rest of the last page
  memset(after, 'z', 100);
  fd = OM_SYS(open("file", O_RDONLY));
  char now[kBytes];
  OM_CHECK_EQ(read(fd, now, kBytes), kBytes);
  OM_CHECK(memcmp(now, data, kBytes) == 0);
  OM_SYS(msync(before, kBytes, MS_SYNC));
  OM_SYS(munmap(before, kBytes));
}
