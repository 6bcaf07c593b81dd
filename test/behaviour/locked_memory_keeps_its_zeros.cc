// SPDX-License-Identifier: Apache-2.0
//
// Memory that is locked (mlock) is zeroed between moves: the zeros are there afterwards, on every node, and
// what was not touched is unchanged.
// om-points: 2
#include "test/lib/om_test.h"

#include <string.h>
#include <sys/mman.h>

constexpr size_t kBytes = 16 * 4096;

int main() {
  auto* memory = static_cast<unsigned char*>(
      mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  OM_CHECK(memory != MAP_FAILED);
  memset(memory, 'x', kBytes);
  if (mlock(memory, kBytes) != 0) om_test_skip("no memory can be locked");
  om_test_ready();
  om_test_wait_moved();
  for (size_t i = 0; i < kBytes; ++i) OM_CHECK_EQ(memory[i], 'x');
  memset(memory, 0, kBytes / 2);
  om_test_ready();
  om_test_wait_moved();
  for (size_t i = 0; i < kBytes; ++i) OM_CHECK_EQ(memory[i], i < kBytes / 2 ? 0 : 'x');
  OM_SYS(munlock(memory, kBytes));
}
