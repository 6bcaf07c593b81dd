// SPDX-License-Identifier: Apache-2.0
//
// A shared mapping of a memfd that the process has open as well moves; what it stores through the one is what it reads
// through the other, and a child sees both.
// om-points: moves
#include "test/lib/om_test.h"

#include <sys/mman.h>

int main() {
  constexpr size_t kBytes = 10000;  // no whole number of pages
  int fd = OM_SYS(memfd_create("twice", 0));
  OM_SYS(ftruncate(fd, kBytes));
  auto* map = static_cast<volatile unsigned char*>(
      OM_SYS(mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)));
  map[9999] = 255;
  const int points = om_test_moves() > 1 ? om_test_moves() : 1;
  for (int i = 0; i < points; ++i) {
    om_test_ready();
    om_test_wait_moved();
    const auto mark = static_cast<unsigned char>(i + 1);
    map[i * 100] = mark;
    map[5000] = 0;
    if (i % 2 == 0) continue;  // is moved on with what only the memory shows
    unsigned char seen = 0;
    OM_CHECK_EQ(pread(fd, &seen, 1, i * 100), 1);
    OM_CHECK_EQ(seen, mark);
    OM_CHECK_EQ(pwrite(fd, "W", 1, 5000), 1);
    OM_CHECK_EQ(map[5000], 'W');
  }
  pid_t child = OM_SYS(fork());
  if (child == 0) {
    for (int i = 0; i < points; ++i) OM_CHECK_EQ(map[i * 100], i + 1);
    unsigned char last = 0;
    _exit(pread(fd, &last, 1, 9999) != 1 || last != 255 || map[9999] != 255);
  }
  om_test_join(child);
}
