// SPDX-License-Identifier: Apache-2.0
//
// Memory below 2 GiB can be had by MAP_32BIT, and near the lowest address by a hint, after the move as before it.
#include "test/lib/om_test.h"

#include <string.h>
#include <sys/mman.h>

constexpr size_t kBytes = 1 << 20;
constexpr int kHow = MAP_PRIVATE | MAP_ANONYMOUS;

static char* low() {
  void* at = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, kHow | MAP_32BIT, -1, 0);
  OM_CHECK(at != MAP_FAILED);
  OM_CHECK(reinterpret_cast<uintptr_t>(at) < uintptr_t{1} << 31);
  return static_cast<char*>(at);
}

// How many of 16 places are given as they were asked for.
static int hinted() {
  int given = 0;
  for (uintptr_t i = 1; i <= 16; ++i) {
    void* want = reinterpret_cast<void*>(i * kBytes);
    void* at = OM_SYS(mmap(want, 4096, PROT_READ | PROT_WRITE, kHow, -1, 0));
    *static_cast<volatile char*>(at) = 'x';
    given += at == want;
    OM_SYS(munmap(at, 4096));
  }
  return given;
}

int main() {
  char* before = low();
  memset(before, 'b', kBytes);
  const int places = hinted();
  om_test_ready();
  om_test_wait_moved();
  for (size_t i = 0; i < kBytes; i += 512) OM_CHECK_EQ(before[i], 'b');
  char* after = low();
  memset(after, 'a', kBytes);
  OM_CHECK(after != before);
  OM_CHECK_EQ(hinted(), places);
}
