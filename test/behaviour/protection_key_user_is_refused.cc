// SPDX-License-Identifier: Apache-2.0
//
// A process with memory protection keys stays at home.
// om-expect: refused PKEYS
#include "test/lib/om_test.h"

#include <sys/mman.h>

int main() {
  int key = pkey_alloc(0, 0);
  if (key < 0) om_test_skip("no protection keys");
  void* map =
      OM_SYS(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  OM_SYS(pkey_mprotect(map, 4096, PROT_READ | PROT_WRITE, key));
  om_test_ready();
  om_test_wait_moved();
  *static_cast<volatile char*>(map) = 1;
  OM_CHECK_EQ(pkey_get(key), 0);
}
