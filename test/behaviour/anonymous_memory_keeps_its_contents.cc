// SPDX-License-Identifier: Apache-2.0
//
// Pages of all kinds keep their contents: written, untouched (zero), read-only, inaccessible; a big
// sparse mapping with few pages; new mappings after the move are zero.
#include "test/lib/om_test.h"

#include <stdlib.h>
#include <sys/mman.h>

static char* map(size_t bytes, int prot) {
  return static_cast<char*>(
      OM_SYS(mmap(nullptr, bytes, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)));
}

int main() {
  constexpr size_t kPages = 3000, kHuge = size_t{1} << 33;
  char* some = map(kPages * 4096, PROT_READ | PROT_WRITE);
  for (size_t i = 0; i < kPages; i += 3) some[i * 4096 + i] = static_cast<char>(i | 1);
  OM_SYS(mprotect(some + 600 * 4096, 300 * 4096, PROT_READ));
  OM_SYS(mprotect(some + 1200 * 4096, 300 * 4096, PROT_NONE));
  char* sparse = map(kHuge, PROT_READ | PROT_WRITE);
  for (size_t at = 0; at < kHuge; at += kHuge / 16)
    sparse[at + 5] = static_cast<char>(at >> 28 | 1);
  om_test_ready();
  om_test_wait_moved();
  OM_SYS(mprotect(some + 1200 * 4096, 300 * 4096, PROT_READ));
  for (size_t i = 0; i < kPages; ++i) {
    OM_CHECK_EQ(some[i * 4096 + i], i % 3 == 0 ? static_cast<char>(i | 1) : 0);
    OM_CHECK_EQ(some[i * 4096 + (i + 2000) % 4096], 0);
  }
  for (size_t at = 0; at < kHuge; at += kHuge / 16) {
    OM_CHECK_EQ(sparse[at + 5], static_cast<char>(at >> 28 | 1));
    OM_CHECK_EQ(sparse[at + kHuge / 32], 0);
  }
  char* fresh = map(1 << 20, PROT_READ | PROT_WRITE);
  for (size_t i = 0; i < 1 << 20; i += 512) OM_CHECK_EQ(fresh[i], 0);
  void* zeroed = calloc(1000, 1000);
  for (size_t i = 0; i < 1000000; i += 100) OM_CHECK_EQ(static_cast<char*>(zeroed)[i], 0);
  free(zeroed);
}
