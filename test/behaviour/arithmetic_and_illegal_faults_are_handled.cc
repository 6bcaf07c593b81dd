// SPDX-License-Identifier: Apache-2.0
//
// SIGFPE, SIGILL and SIGTRAP raised by instructions after the move reach their handlers with the
// right code and address.
#include "test/lib/om_test.h"

#include <setjmp.h>
#include <signal.h>
#include <ucontext.h>

static sigjmp_buf g_buffer;
static siginfo_t g_info;
static uintptr_t g_rip;

static void handler(int, siginfo_t* info, void* context) {
  g_info = *info;
  g_rip = static_cast<uintptr_t>(static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP]);
  siglongjmp(g_buffer, 1);
}

int main() {
  struct sigaction action {};
  action.sa_sigaction = handler;
  action.sa_flags = SA_SIGINFO;
  for (int number : {SIGFPE, SIGILL, SIGTRAP}) OM_SYS(sigaction(number, &action, nullptr));
  om_test_ready();
  om_test_wait_moved();
  if (sigsetjmp(g_buffer, 1) == 0) {
    asm volatile("xor %%edx, %%edx\n mov $1, %%eax\n xor %%ecx, %%ecx\n div %%ecx" ::
                     : "eax", "ecx", "edx", "cc");
  }
  OM_CHECK_EQ(g_info.si_signo, SIGFPE);
  OM_CHECK_EQ(g_info.si_code, FPE_INTDIV);
  OM_CHECK_EQ(reinterpret_cast<uintptr_t>(g_info.si_addr), g_rip);
  if (sigsetjmp(g_buffer, 1) == 0) asm volatile("ud2");
  OM_CHECK_EQ(g_info.si_signo, SIGILL);
  OM_CHECK_EQ(g_info.si_code, ILL_ILLOPN);
  OM_CHECK_EQ(reinterpret_cast<uintptr_t>(g_info.si_addr), g_rip);
  if (sigsetjmp(g_buffer, 1) == 0) asm volatile("int3");
  OM_CHECK_EQ(g_info.si_signo, SIGTRAP);
}
