// SPDX-License-Identifier: Apache-2.0
//
// Shared anonymous memory that no other process maps does not keep the process at home.
#include "test/lib/om_test.h"

#include <sys/mman.h>

int main() {
  void* map =
      OM_SYS(mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  auto* words = static_cast<uint32_t*>(map);
  for (uint32_t i = 0; i < 1 << 18; i += 7) words[i] = i * 3;
  om_test_ready();
  om_test_wait_moved();
  for (uint32_t i = 0; i < 1 << 18; ++i) OM_CHECK_EQ(words[i], i % 7 == 0 ? i * 3 : 0);
  words[1] = 9;
  OM_CHECK_EQ(words[1], 9);
}
