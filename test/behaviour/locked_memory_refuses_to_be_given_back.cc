// SPDX-License-Identifier: Apache-2.0
//
// Memory that was locked before the move is still locked: MADV_DONTNEED and msync(MS_INVALIDATE) refuse it, a
// larger mremap and MAP_LOCKED keep to RLIMIT_MEMLOCK, and other memory is as free as before.
// om-points: moves
#include "test/lib/om_test.h"

#include <sys/mman.h>
#include <sys/resource.h>

static constexpr size_t kPage = 4096;

static char* anonymous(int flags) {
  return static_cast<char*>(
      mmap(nullptr, 2 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0));
}

int main() {
  char *locked = anonymous(0), *plain = anonymous(0);
  OM_CHECK(locked != MAP_FAILED && plain != MAP_FAILED);
  locked[0] = plain[0] = 7;
  if (mlock(locked, 2 * kPage) != 0) om_test_skip("no memory can be locked");
  rlimit limit;
  OM_SYS(getrlimit(RLIMIT_MEMLOCK, &limit));
  limit.rlim_cur = 2 * kPage;
  OM_SYS(setrlimit(RLIMIT_MEMLOCK, &limit));
  const int points = om_test_moves() > 1 ? om_test_moves() : 1;
  for (int i = 0; i < points || i < 4; ++i) {
    if (i < points) {
      om_test_ready();
      om_test_wait_moved();
    }
    OM_SYS(madvise(plain, kPage, MADV_DONTNEED));
    OM_CHECK_EQ(plain[0], 0);
    OM_SYS(msync(plain, kPage, MS_ASYNC | MS_INVALIDATE));
    if (i == 0) OM_CHECK_ERRNO(madvise(locked, kPage, MADV_DONTNEED), EINVAL);
    if (i == 1) OM_CHECK_ERRNO(anonymous(MAP_LOCKED) == MAP_FAILED ? -1 : 0, EAGAIN);
    if (i == 2) OM_CHECK_ERRNO(msync(locked, kPage, MS_ASYNC | MS_INVALIDATE), EBUSY);
    if (i == 3)
      OM_CHECK_ERRNO(mremap(locked, 2 * kPage, 3 * kPage, MREMAP_MAYMOVE) == MAP_FAILED ? -1 : 0,
                     EAGAIN);
    OM_CHECK_EQ(locked[0], 7);
  }
}
