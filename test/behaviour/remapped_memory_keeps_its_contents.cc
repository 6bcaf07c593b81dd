// SPDX-License-Identifier: Apache-2.0
//
// mremap after the move: grow in place or elsewhere, shrink, and move to a fixed address.
#include "test/lib/om_test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

int main() {
  constexpr size_t kPage = 4096;
  void* map =
      OM_SYS(mmap(nullptr, 20 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  char* pages = static_cast<char*>(map);
  for (size_t i = 0; i < 20; ++i) pages[i * kPage + i] = static_cast<char>(i + 1);
  om_test_ready();
  om_test_wait_moved();
  char* grown = static_cast<char*>(OM_SYS(mremap(pages, 20 * kPage, 500 * kPage, MREMAP_MAYMOVE)));
  for (size_t i = 0; i < 500; ++i) OM_CHECK_EQ(grown[i * kPage + i], i < 20 ? i + 1 : 0);
  grown[499 * kPage] = 5;
  OM_CHECK_EQ(mremap(grown, 500 * kPage, 10 * kPage, 0), grown);
  OM_CHECK_EQ(grown[9 * kPage + 9], 10);
  void* room = OM_SYS(mmap(nullptr, 30 * kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  char* target = static_cast<char*>(room) + 5 * kPage;
  OM_CHECK_EQ(mremap(grown, 10 * kPage, 15 * kPage, MREMAP_MAYMOVE | MREMAP_FIXED, target), target);
  for (size_t i = 0; i < 15; ++i) OM_CHECK_EQ(target[i * kPage + i], i < 10 ? i + 1 : 0);
  OM_CHECK(mremap(target, 15 * kPage, 100 * kPage, 0) == MAP_FAILED);
  OM_CHECK_EQ(errno, ENOMEM);
  void* block = malloc(300000);  // mmapped by the allocator, realloc uses mremap
  memset(block, 0x5a, 300000);
  block = realloc(block, 9000000);
  OM_CHECK(block != nullptr);
  for (size_t i = 0; i < 300000; ++i) OM_CHECK_EQ(static_cast<char*>(block)[i], 0x5a);
  free(block);
}
