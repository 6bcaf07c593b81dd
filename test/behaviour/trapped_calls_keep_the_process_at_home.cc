// SPDX-License-Identifier: Apache-2.0
//
// A thread that has its own system calls trapped (PR_SET_SYSCALL_USER_DISPATCH) keeps the process at home, where
// they are.
// om-expect: refused OWN_TRAPS
#include "test/lib/om_test.h"

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

constexpr int kUserDispatch = 59;  // PR_SET_SYSCALL_USER_DISPATCH, Linux 5.11
constexpr char kAllow = 0, kBlock = 1;
static volatile char g_selector = kAllow;
static volatile sig_atomic_t g_trapped;

int main() {
  struct utsname kernel {};
  OM_SYS(uname(&kernel));
  int major = 0, minor = 0;
  OM_CHECK_EQ(sscanf(kernel.release, "%d.%d", &major, &minor), 2);
  if (major < 6 || (major == 6 && minor < 4)) om_test_skip("such a kernel does not tell");
  struct sigaction action {};
  action.sa_sigaction = [](int, siginfo_t* info, void*) {
    g_selector = kAllow;
    g_trapped = info->si_syscall;
  };
  action.sa_flags = SA_SIGINFO;
  OM_SYS(sigaction(SIGSYS, &action, nullptr));
  if (prctl(kUserDispatch, 1, 0, 0, &g_selector) != 0) om_test_skip("no syscall user dispatch");
  om_test_ready();
  om_test_wait_moved();
  g_selector = kBlock;
  syscall(SYS_getppid);
  OM_CHECK_EQ(g_trapped, SYS_getppid);
}
