// SPDX-License-Identifier: Apache-2.0
//
// A thread shifts the borders between writable and protected memory without pause, as growing heaps do, while the
// process is looked at and moved: no look may take it for nonsense, and every byte and border is right at the end.
#include <stdio.h>
#include <sys/mman.h>

#include "test/lib/om_test.h"

int main() {
  constexpr size_t kPage = 4096, kAreas = 200, kPages = 16;
  char* areas[kAreas];
  for (char*& area : areas) {
    void* got = mmap(nullptr, kPages * kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    OM_CHECK(got != MAP_FAILED);
    area = static_cast<char*>(got);
    OM_SYS(mprotect(area, kPage, PROT_READ | PROT_WRITE));
  }
  volatile bool enough = false;
  OmThread shifter([&] {
    for (size_t round = 0; !enough; ++round) {
      size_t open = 1 + round % (kPages - 1);
      for (char* area : areas) {
        OM_SYS(mprotect(area, kPages * kPage, PROT_NONE));
        OM_SYS(mprotect(area, open * kPage, PROT_READ | PROT_WRITE));
        area[(open - 1) * kPage] = static_cast<char>(open);
      }
    }
    for (char* area : areas) OM_SYS(mprotect(area, kPages * kPage, PROT_READ));
  });
  om_test_ready();
  om_test_wait_moved();
  enough = true;
  shifter.join();
  for (char* area : areas) {
    for (size_t page = 0; page < kPages; ++page) {
      char is = area[page * kPage];
      OM_CHECK(is == 0 || is == static_cast<char>(page + 1));
    }
  }
  puts("all borders were right");
}
