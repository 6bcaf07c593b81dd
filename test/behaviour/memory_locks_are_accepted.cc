// SPDX-License-Identifier: Apache-2.0
//
// mlock, mlock2, munlock, mlockall and mincore: locked pages keep their contents through moves.
#include "test/lib/om_test.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

int main() {
  rlimit limit{};
  OM_SYS(getrlimit(RLIMIT_MEMLOCK, &limit));
  if (limit.rlim_cur < 1 << 16) om_test_skip("no memory may be locked");
  void* map =
      OM_SYS(mmap(nullptr, 8 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  char* pages = static_cast<char*>(map);
  memset(pages, 'l', 4 * 4096);
  if (mlock(pages, 2 * 4096) != 0) om_test_skip("no memory can be locked");
  om_test_ready();
  om_test_wait_moved();
  for (int i = 0; i < 4 * 4096; ++i) OM_CHECK_EQ(pages[i], 'l');
  OM_SYS(mlock(pages + 4 * 4096, 4096));
  OM_SYS(mlock2(pages + 5 * 4096, 4096, MLOCK_ONFAULT));
  OmGuarded resident(8);
  OM_SYS(mincore(pages, 8 * 4096, reinterpret_cast<unsigned char*>(resident.data())));
  OM_CHECK_EQ(resident.data()[0] & 1, 1);
  OM_SYS(munlock(pages, 6 * 4096));
  OM_SYS(madvise(pages, 8 * 4096, MADV_DONTNEED));
  for (int i = 0; i < 8 * 4096; i += 64) OM_CHECK_EQ(pages[i], 0);
  OM_SYS(munlockall());
  OM_CHECK_ERRNO(mlock(pages, size_t{1} << 46), ENOMEM);
  OM_CHECK_ERRNO(mlockall(0), EINVAL);
  OM_SYS(munmap(pages, 8 * 4096));
}
