// SPDX-License-Identifier: Apache-2.0
//
// A handler that has interrupted a clock function, behind its first, second, ... instruction, waits for the moves: the
// function goes on afterwards and shows a time that is not before the one seen last, nor in the future. No SIGSEGV is
// raised in the program.
// om-points: each
#include "test/lib/om_test.h"

#include <link.h>
#include <signal.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <ucontext.h>

constexpr greg_t kTrapFlag = 0x100;
static greg_t g_lo, g_hi;
static int g_steps;  // still to make inside the function

static void on_step(int, siginfo_t*, void* context) {
  greg_t* regs = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  if (regs[REG_RIP] < g_lo || regs[REG_RIP] >= g_hi || g_steps-- > 0) return;
  regs[REG_EFL] &= ~kTrapFlag;
  om_test_ready();
  om_test_wait_moved();
}

static int64_t time_now() {
  timespec now{};
  OM_SYS(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now));
  return now.tv_sec * kSecond + now.tv_nsec;
}

int main() {
  const auto start = getauxval(AT_SYSINFO_EHDR);
  if (start == 0) om_test_skip("no vDSO");
  const auto* head = reinterpret_cast<const ElfW(Ehdr)*>(start);
  const auto* part = reinterpret_cast<const ElfW(Phdr)*>(start + head->e_phoff);
  g_lo = static_cast<greg_t>(start);
  for (int i = 0; i < head->e_phnum; i++) {
    if (part[i].p_type == PT_LOAD) g_hi = static_cast<greg_t>(start + part[i].p_memsz);
  }
  struct sigaction action {};
  action.sa_sigaction = on_step;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  OM_SYS(sigaction(SIGTRAP, &action, nullptr));
  action.sa_sigaction = [](int, siginfo_t*, void*) {
    om_test::fail(__FILE__, __LINE__, "SIGSEGV");
  };
  OM_SYS(sigaction(SIGSEGV, &action, nullptr));
  int64_t last = time_now();
  for (int steps : {1, 2, 3, 5, 8, 13}) {
    g_steps = steps;
    asm volatile("pushfq; orq $0x100, (%%rsp); popfq" ::: "cc", "memory");
    const int64_t now = om_test_ns();
    OM_CHECK(g_steps < 0);
    OM_CHECK(now >= last);
    last = time_now();
    OM_CHECK(now <= last);
  }
  puts("the clock goes on");
}
