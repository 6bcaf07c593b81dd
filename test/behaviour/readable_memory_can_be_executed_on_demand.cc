// SPDX-License-Identifier: Apache-2.0
//
// With the personality READ_IMPLIES_EXEC all memory that can be read can be executed, also what is mapped, or gets its
// protection, after the move.
#include "test/lib/om_test.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>

static void* with_code(int protection) {
  static const unsigned char kCode[] = {0xb8, 42, 0, 0, 0, 0xc3};  // mov $42,%eax; ret
  void* at = OM_SYS(mmap(nullptr, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  OM_SYS(mprotect(at, 4096, PROT_READ | PROT_WRITE));
  memcpy(at, kCode, sizeof kCode);
  return at;
}

static int run(void* code) { return reinterpret_cast<int (*)()>(code)(); }

int main() {
  const int before = OM_SYS(personality(0xffffffff));
  if (personality(static_cast<unsigned>(before) | READ_IMPLIES_EXEC) == -1)
    om_test_skip("the personality cannot be changed");
  void* first = with_code(PROT_READ);
  OM_CHECK_EQ(run(first), 42);
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_EQ(run(first), 42);
  OM_CHECK_EQ(run(with_code(PROT_READ | PROT_WRITE)), 42);
  OM_CHECK_EQ(run(with_code(PROT_NONE)), 42);
}
