// SPDX-License-Identifier: Apache-2.0
//
// A handler steps over the faulting instruction by changing rip and rax in its context.
#include "test/lib/om_test.h"

#include <signal.h>
#include <ucontext.h>

static volatile int g_count;

int main() {
  struct sigaction action {};
  action.sa_sigaction = [](int, siginfo_t*, void* context) {
    greg_t* registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
    registers[REG_RIP] += 2;  // ud2
    registers[REG_RAX] = 0x1122334455667788;
    g_count = g_count + 1;
  };
  action.sa_flags = SA_SIGINFO;
  OM_SYS(sigaction(SIGILL, &action, nullptr));
  om_test_ready();
  om_test_wait_moved();
  for (int i = 1; i <= 20; ++i) {
    uint64_t value = 0, kept = 42;
    asm volatile("ud2" : "+a"(value), "+b"(kept));
    OM_CHECK_EQ(value, 0x1122334455667788);
    OM_CHECK_EQ(kept, 42);
    OM_CHECK_EQ(g_count, i);
  }
}
