// SPDX-License-Identifier: Apache-2.0
//
// mprotect after the move: writing to read-only pages faults, with the contents kept; back again it
// works.
#include "test/lib/om_test.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

static sigjmp_buf g_buffer;

static bool writable(char* address) {
  if (sigsetjmp(g_buffer, 1) != 0) return false;
  *static_cast<volatile char*>(address) = 9;
  return true;
}

int main() {
  signal(SIGSEGV, [](int) { siglongjmp(g_buffer, 1); });
  void* map =
      OM_SYS(mmap(nullptr, 8 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  char* pages = static_cast<char*>(map);
  for (int i = 0; i < 8; ++i) pages[i * 4096 + 8] = 7;
  om_test_ready();
  om_test_wait_moved();
  OM_SYS(mprotect(pages + 2 * 4096, 4096, PROT_READ));
  OM_SYS(mprotect(pages + 4 * 4096, 2 * 4096, PROT_NONE));
  for (int i = 0; i < 8; ++i) OM_CHECK_EQ(writable(pages + i * 4096), i != 2 && i != 4 && i != 5);
  OM_SYS(mprotect(pages, 8 * 4096, PROT_READ | PROT_WRITE));
  for (int i = 0; i < 8; ++i) {
    OM_CHECK_EQ(pages[i * 4096], i == 2 || i == 4 || i == 5 ? 0 : 9);
    OM_CHECK_EQ(pages[i * 4096 + 8], 7);
    OM_CHECK(writable(pages + i * 4096));
  }
  OM_SYS(munmap(pages + 6 * 4096, 4096));
  OM_CHECK_ERRNO(mprotect(pages, 8 * 4096, PROT_READ), ENOMEM);
  OM_CHECK_ERRNO(mprotect(pages + 1, 4096, PROT_READ), EINVAL);
}
