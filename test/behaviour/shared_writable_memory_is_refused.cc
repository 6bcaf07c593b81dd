// SPDX-License-Identifier: Apache-2.0
//
// Memory that another process maps writable keeps the process at home; both go on sharing it.
// om-expect: refused SHARED_WRITABLE
#include "test/lib/om_test.h"

#include <sys/mman.h>
#include <atomic>

int main() {
  void* map =
      OM_SYS(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  auto* counter = new (map) std::atomic<int>(0);
  pid_t other = om_test_helper([&] {
    *counter = 41;
    while (*counter != 42) sched_yield();
  });
  om_test_ready();
  om_test_wait_moved();
  while (*counter != 41) sched_yield();
  *counter = 42;
  om_test_join(other);
}
