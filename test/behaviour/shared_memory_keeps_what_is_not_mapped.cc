// SPDX-License-Identifier: Apache-2.0
//
// Lone shared memory written away: what mremap cuts off is there again when it grows, what is given back by
// MADV_DONTNEED stays, what becomes read-only keeps what was written.
// om-points: moves
#include "test/lib/om_test.h"

#include <string.h>
#include <sys/mman.h>

static constexpr size_t kPage = 4096;

static char* shared(size_t pages) {
  void* at =
      mmap(nullptr, pages * kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  OM_CHECK(at != MAP_FAILED);
  memset(at, 'a', pages * kPage);
  return static_cast<char*>(at);
}

static void all_are(const char* at, char what) {
  for (size_t i = 0; i < kPage; i += 64) OM_CHECK_EQ(at[i], what);
}

static void seal(char* at) {
  memset(at, 'e', kPage);
  OM_SYS(mprotect(at, 3 * kPage, PROT_READ));
}

static void cut_by_unmapping(char* at) {
  memset(at + kPage, 'c', 2 * kPage);
  OM_SYS(munmap(at + kPage, 2 * kPage));
  at = static_cast<char*>(mremap(at, kPage, 3 * kPage, MREMAP_MAYMOVE));
  OM_CHECK(at != MAP_FAILED);
  all_are(at, 'a');
  all_are(at + 2 * kPage, 'c');
}

static void cut_by_remapping(char* at) {
  memset(at + kPage, 'b', kPage);
  OM_CHECK(mremap(at, 3 * kPage, kPage, 0) == at);
  at = static_cast<char*>(mremap(at, kPage, 2 * kPage, MREMAP_MAYMOVE));
  OM_CHECK(at != MAP_FAILED);
  all_are(at, 'a');
  all_are(at + kPage, 'b');
}

static void give_back(char* at) {
  memset(at, 'd', kPage);
  OM_SYS(madvise(at, 3 * kPage, MADV_DONTNEED));
  all_are(at, 'd');
  all_are(at + kPage, 'a');
}

int main() {
  // One of them after each move, which it undoes; where there are fewer moves, the rest at the end.
  void (*const act[])(char*) = {seal, cut_by_unmapping, cut_by_remapping, give_back};
  char* memory[4];
  for (char*& at : memory) at = shared(3);
  const int points = om_test_moves() > 1 ? om_test_moves() : 1;
  for (int i = 0; i < points || i < 4; ++i) {
    if (i < points) {
      om_test_ready();
      om_test_wait_moved();
    }
    if (i < 4) act[i](memory[i]);
  }
  all_are(memory[0], 'e');
  all_are(memory[0] + kPage, 'a');
}
