// SPDX-License-Identifier: Apache-2.0
//
// A memfd with a shared and a private mapping stays at home: what the program stores through the one shows in pages of
// the other that it has not written.
// om-expect: refused SHARED_WRITABLE
#include "test/lib/om_test.h"

#include <sys/mman.h>

int main() {
  int fd = OM_SYS(memfd_create("both", 0));
  OM_SYS(ftruncate(fd, 4096));
  auto* shared = static_cast<volatile char*>(
      OM_SYS(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)));
  auto* own = static_cast<volatile char*>(
      OM_SYS(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0)));
  shared[0] = 'a';
  OM_CHECK_EQ(own[0], 'a');
  om_test_ready();
  om_test_wait_moved();
  shared[0] = 'b';
  OM_CHECK_EQ(own[0], 'b');
  own[0] = 'c';
  OM_CHECK_EQ(shared[0], 'b');
}
