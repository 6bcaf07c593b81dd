// SPDX-License-Identifier: Apache-2.0
//
// Shared memory between processes that is made after the move: the process comes home for it, no
// call fails.
#include "test/lib/om_test.h"

#include <sys/mman.h>
#include <sys/wait.h>

int main() {
  om_test_ready();
  om_test_wait_moved();
  void* map =
      OM_SYS(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  auto* words = static_cast<volatile int*>(map);
  words[0] = 1;
  pid_t child = OM_SYS(fork());
  if (child == 0) {
    words[1] = words[0] + 1;
    _exit(0);
  }
  om_test_join(child);
  OM_CHECK_EQ(words[1], 2);
}
