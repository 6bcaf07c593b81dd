// SPDX-License-Identifier: Apache-2.0
//
// munmap after the move: the range faults, its neighbours stay, and the address can be mapped
// again.
#include "test/lib/om_test.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

static sigjmp_buf g_buffer;

static bool readable(const char* address) {
  if (sigsetjmp(g_buffer, 1) != 0) return false;
  static_cast<void>(*static_cast<const volatile char*>(address));
  return true;
}

int main() {
  signal(SIGSEGV, [](int) { siglongjmp(g_buffer, 1); });
  void* map =
      OM_SYS(mmap(nullptr, 16 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  char* pages = static_cast<char*>(map);
  for (int i = 0; i < 16; ++i) pages[i * 4096] = static_cast<char>(i + 1);
  om_test_ready();
  om_test_wait_moved();
  OM_SYS(munmap(pages + 4 * 4096, 3 * 4096));
  for (int i = 0; i < 16; ++i) OM_CHECK_EQ(readable(pages + i * 4096), i < 4 || i > 6);
  OM_CHECK_EQ(pages[3 * 4096], 4);
  OM_CHECK_EQ(pages[7 * 4096], 8);
  void* again = mmap(pages + 5 * 4096, 4096, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  OM_CHECK_EQ(again, pages + 5 * 4096);
  OM_CHECK_EQ(pages[5 * 4096], 0);
  OM_CHECK(mmap(pages, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) ==
           MAP_FAILED);
  OM_CHECK_EQ(errno, EEXIST);
  void* over =
      mmap(pages, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  OM_CHECK_EQ(over, pages);
  OM_CHECK_EQ(pages[0], 0);
  OM_CHECK_ERRNO(munmap(pages + 1, 4096), EINVAL);
}
