// SPDX-License-Identifier: Apache-2.0
//
// madvise(MADV_DONTNEED) before and after the move: anonymous pages are zero, private file pages
// have the file's contents again. MADV_FREE and hints are accepted.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

int main() {
  constexpr size_t kPage = 4096;
  int fd = OM_SYS(open("file", O_RDWR | O_CREAT, 0600));
  static char data[4 * kPage];
  memset(data, 'f', sizeof data);
  OM_CHECK_EQ(write(fd, data, sizeof data), 4 * kPage);
  void* map =
      OM_SYS(mmap(nullptr, 30 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  char* pages = static_cast<char*>(map);
  map = OM_SYS(mmap(nullptr, 4 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
  char* file = static_cast<char*>(map);
  memset(pages, 1, 30 * kPage);
  memset(file, 2, 4 * kPage);
  OM_SYS(madvise(pages, 10 * kPage, MADV_DONTNEED));
  om_test_ready();
  om_test_wait_moved();
  OM_SYS(madvise(pages + 20 * kPage, 10 * kPage, MADV_DONTNEED));
  OM_SYS(madvise(file + kPage, kPage, MADV_DONTNEED));
  for (size_t i = 0; i < 30; ++i) OM_CHECK_EQ(pages[i * kPage + 99], i >= 10 && i < 20 ? 1 : 0);
  for (size_t i = 0; i < 4; ++i) OM_CHECK_EQ(file[i * kPage + 99], i == 1 ? 'f' : 2);
  pages[25 * kPage] = 3;
  OM_SYS(madvise(pages + 24 * kPage, 2 * kPage, MADV_DONTNEED));
  OM_CHECK_EQ(pages[25 * kPage], 0);
  OM_SYS(madvise(pages, 30 * kPage, MADV_WILLNEED));
  OM_SYS(madvise(pages, 30 * kPage, MADV_SEQUENTIAL));
  OM_SYS(madvise(pages, 5 * kPage, MADV_FREE));
  pages[0] = 4;
  OM_CHECK_EQ(pages[0], 4);
  OM_CHECK_ERRNO(madvise(pages + 1, kPage, MADV_DONTNEED), EINVAL);
}
