// SPDX-License-Identifier: Apache-2.0
//
// A limit of the address space or of data that is set after the move holds from then on, and a raised one no
// longer.
#include "test/lib/om_test.h"

#include <sys/mman.h>
#include <sys/resource.h>

static const size_t kBytes = size_t{512} << 20;

static bool can_map() {
  void* at = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) {
    OM_CHECK_EQ(errno, ENOMEM);
    return false;
  }
  OM_SYS(munmap(at, kBytes));
  return true;
}

int main() {
  rlimit before[2];
  const __rlimit_resource kinds[] = {RLIMIT_AS, RLIMIT_DATA};
  for (int i = 0; i < 2; ++i) OM_SYS(getrlimit(kinds[i], &before[i]));
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK(can_map());
  for (int i = 0; i < 2; ++i) {
    rlimit small{kBytes, before[i].rlim_max};
    OM_SYS(setrlimit(kinds[i], &small));
    OM_CHECK(!can_map());
    OM_SYS(prlimit(getpid(), kinds[i], &before[i], nullptr));
    OM_CHECK(can_map());
  }
}
