// SPDX-License-Identifier: Apache-2.0
//
// Nearly all that RLIMIT_AS leaves can be mapped before, between and after moves, and no more than that.
// om-points: each
#include "test/lib/om_test.h"

#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

static const size_t kMiB = size_t{1} << 20;

static void* map(size_t bytes) {
  return mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

// Of the address space, in bytes.
static size_t used() {
  unsigned long pages = 0;
  FILE* f = fopen("/proc/self/statm", "re");
  OM_CHECK(f != nullptr && fscanf(f, "%lu", &pages) == 1);
  fclose(f);
  return pages * static_cast<size_t>(getpagesize());
}

int main() {
  const rlimit limit{used() + 100 * kMiB, RLIM_INFINITY};
  OM_SYS(setrlimit(RLIMIT_AS, &limit));
  for (int i = 0; i < 3; i++) {
    om_test_ready();
    om_test_wait_moved();
    char* most = static_cast<char*>(map(97 * kMiB));
    OM_CHECK(most != MAP_FAILED);
    most[97 * kMiB - 1] = 1;
    errno = 0;
    OM_CHECK(map(4 * kMiB) == MAP_FAILED);
    OM_CHECK_EQ(errno, ENOMEM);
    OM_SYS(munmap(most, 97 * kMiB));
    void* some = map(4 * kMiB);
    OM_CHECK(some != MAP_FAILED);
    OM_SYS(munmap(some, 4 * kMiB));
  }
}
