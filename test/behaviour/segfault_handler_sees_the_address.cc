// SPDX-License-Identifier: Apache-2.0
//
// SIGSEGV with si_addr; the handler leaves by siglongjmp, several times, on the alternate stack.
#include "test/lib/om_test.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

static sigjmp_buf g_buffer;
static void* volatile g_address;
static volatile int g_code;
static char g_stack[65536];

static void fault_at(char* address) {
  if (sigsetjmp(g_buffer, 1) == 0) {
    *static_cast<volatile char*>(address) = 1;
    OM_CHECK(false);
  }
}

int main() {
  stack_t stack{};
  stack.ss_sp = g_stack;
  stack.ss_size = sizeof g_stack;
  OM_SYS(sigaltstack(&stack, nullptr));
  struct sigaction action {};
  action.sa_sigaction = [](int, siginfo_t* info, void*) {
    g_address = info->si_addr;
    g_code = info->si_code;
    siglongjmp(g_buffer, 1);
  };
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  OM_SYS(sigaction(SIGSEGV, &action, nullptr));
  void* map = OM_SYS(mmap(nullptr, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  char* page = static_cast<char*>(map);
  om_test_ready();
  om_test_wait_moved();
  for (int i = 0; i < 20; ++i) {
    fault_at(page + i * 100);
    OM_CHECK_EQ(g_address, page + i * 100);
    OM_CHECK_EQ(g_code, SEGV_ACCERR);
  }
  OM_SYS(munmap(page, 8192));
  fault_at(page + 5000);
  OM_CHECK_EQ(g_address, page + 5000);
  OM_CHECK_EQ(g_code, SEGV_MAPERR);
}
