// SPDX-License-Identifier: Apache-2.0
//
// A limit of the address space that was set before the move holds after it: mmap, mremap, brk and malloc answer
// ENOMEM beyond it, and below it there is memory.
#include "test/lib/om_test.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

static const size_t kGiB = size_t{1} << 30, kMiB = size_t{1} << 20;

static void* map(size_t bytes) {
  return mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

int main() {
  rlimit limit{kGiB, RLIM_INFINITY};
  OM_SYS(setrlimit(RLIMIT_AS, &limit));
  char* old = static_cast<char*>(map(kMiB));
  OM_CHECK(old != MAP_FAILED);
  old[0] = 7;
  om_test_ready();
  om_test_wait_moved();
  // What is below the limit first: a call beyond it is decided at home.
  char* more = static_cast<char*>(map(200 * kMiB));
  OM_CHECK(more != MAP_FAILED);
  more[200 * kMiB - 1] = 1;
  OM_CHECK_EQ(munmap(more, 200 * kMiB), 0);
  errno = 0;
  OM_CHECK(map(kGiB) == MAP_FAILED);
  OM_CHECK_EQ(errno, ENOMEM);
  errno = 0;
  OM_CHECK(mremap(old, kMiB, kGiB, MREMAP_MAYMOVE) == MAP_FAILED);
  OM_CHECK_EQ(errno, ENOMEM);
  void* end = sbrk(0);
  errno = 0;
  OM_CHECK(sbrk(kGiB) == reinterpret_cast<void*>(-1));
  OM_CHECK_EQ(errno, ENOMEM);
  OM_CHECK(sbrk(0) == end);
  errno = 0;
  OM_CHECK(malloc(kGiB) == nullptr);
  OM_CHECK_EQ(errno, ENOMEM);
  OM_CHECK_EQ(old[0], 7);
  void* small = map(kMiB);
  OM_CHECK(small != MAP_FAILED);
}
