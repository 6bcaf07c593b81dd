// SPDX-License-Identifier: Apache-2.0
//
// Pages under MADV_GUARD_INSTALL (Linux 6.13) fault wherever the program runs, and their neighbours do not.
#include "test/lib/om_test.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

static constexpr int kGuardInstall = 102, kPages = 16;
static constexpr size_t kPage = 4096;
static sigjmp_buf landing;

static void on_fault(int) { siglongjmp(landing, 1); }

static bool faults(volatile char* at) {
  if (sigsetjmp(landing, 1) != 0) return true;
  *at = 1;
  return false;
}

int main() {
  struct sigaction action = {};
  action.sa_handler = on_fault;
  OM_SYS(sigaction(SIGSEGV, &action, nullptr));
  auto* memory = static_cast<char*>(
      mmap(nullptr, kPages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  OM_CHECK(memory != MAP_FAILED);
  for (int i = 0; i < kPages; ++i) memory[i * kPage] = static_cast<char>(i + 1);
  for (int i = 0; i < kPages; i += 3) {
    if (madvise(memory + i * kPage, kPage, kGuardInstall) != 0) om_test_skip("no guard pages");
  }
  om_test_ready();
  om_test_wait_moved();
  for (int i = 0; i < kPages; ++i) {
    if (i % 3 != 0) OM_CHECK_EQ(memory[i * kPage], i + 1);
    OM_CHECK_EQ(faults(memory + i * kPage + 8), i % 3 == 0);
  }
}
