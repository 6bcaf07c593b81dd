// SPDX-License-Identifier: Apache-2.0
//
// The handler of SIGSEGV makes the page writable and returns: the faulting instruction is done
// again.
#include "test/lib/om_test.h"

#include <signal.h>
#include <sys/mman.h>

constexpr size_t kPages = 64;
static char* g_map;
static volatile int g_faults;

int main() {
  struct sigaction action {};
  action.sa_sigaction = [](int, siginfo_t* info, void*) {
    auto address = reinterpret_cast<uintptr_t>(info->si_addr) & ~uintptr_t{4095};
    OM_SYS(mprotect(reinterpret_cast<void*>(address), 4096, PROT_READ | PROT_WRITE));
    g_faults = g_faults + 1;
  };
  action.sa_flags = SA_SIGINFO;
  OM_SYS(sigaction(SIGSEGV, &action, nullptr));
  void* map = OM_SYS(mmap(nullptr, kPages * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  g_map = static_cast<char*>(map);
  for (size_t i = 0; i < kPages / 2; ++i) g_map[i * 4096 + 7] = static_cast<char>(i);
  om_test_ready();
  om_test_wait_moved();
  for (size_t i = kPages / 2; i < kPages; ++i) g_map[i * 4096 + 7] = static_cast<char>(i);
  for (size_t i = 0; i < kPages; ++i) OM_CHECK_EQ(g_map[i * 4096 + 7], i);
  OM_CHECK_EQ(g_faults, kPages);
}
