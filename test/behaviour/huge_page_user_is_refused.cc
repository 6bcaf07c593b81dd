// SPDX-License-Identifier: Apache-2.0
//
// A process with a hugetlb mapping stays at home.
// om-expect: refused HUGETLB
#include "test/lib/om_test.h"

#include <sys/mman.h>

int main() {
  void* map = mmap(nullptr, 2 << 20, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE, -1, 0);
  if (map == MAP_FAILED) om_test_skip("no hugetlb mappings");
  om_test_ready();
  om_test_wait_moved();
  OM_SYS(munmap(map, 2 << 20));
}
