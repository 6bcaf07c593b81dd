// SPDX-License-Identifier: Apache-2.0
//
// Mask, pending and ignored signals as they were before the move: a child of fork() has the mask and nothing
// pending, a program that is executed has the mask, what is pending and what is ignored; handlers are gone and the
// alternate stack is off.
#include "test/lib/om_test.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static bool pending(int number) {
  sigset_t set;
  OM_SYS(sigpending(&set));
  return sigismember(&set, number) == 1;
}

static bool blocked(int number) {
  sigset_t set;
  OM_SYS(sigprocmask(SIG_BLOCK, nullptr, &set));
  return sigismember(&set, number) == 1;
}

static void* handler_of(int number) {
  struct sigaction now {};
  OM_SYS(sigaction(number, nullptr, &now));
  return reinterpret_cast<void*>(now.sa_handler);
}

static void executed() {
  OM_CHECK(blocked(SIGUSR1) && blocked(SIGRTMIN + 5) && !blocked(SIGUSR2));
  OM_CHECK(pending(SIGUSR1) && pending(SIGRTMIN + 5) && !pending(SIGHUP));
  OM_CHECK(handler_of(SIGHUP) == reinterpret_cast<void*>(SIG_IGN));
  OM_CHECK(handler_of(SIGUSR1) == reinterpret_cast<void*>(SIG_DFL));
  stack_t stack{};
  OM_SYS(sigaltstack(nullptr, &stack));
  OM_CHECK_EQ(stack.ss_flags, SS_DISABLE);
  sigset_t wanted;
  sigemptyset(&wanted);
  sigaddset(&wanted, SIGRTMIN + 5);
  for (int i = 0; i < 2; ++i) {
    siginfo_t info{};
    OM_CHECK_EQ(sigwaitinfo(&wanted, &info), SIGRTMIN + 5);
    OM_CHECK_EQ(info.si_value.sival_int, 70 + i);
  }
}

int main(int argc, char** argv) {
  if (argc == 2) {
    executed();
    return 0;
  }
  static char alternate[65536];
  stack_t stack{};
  stack.ss_sp = alternate;
  stack.ss_size = sizeof alternate;
  OM_SYS(sigaltstack(&stack, nullptr));
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigaddset(&set, SIGRTMIN + 5);
  OM_SYS(sigprocmask(SIG_SETMASK, &set, nullptr));
  struct sigaction action {};
  action.sa_handler = [](int) { OM_CHECK(false); };
  OM_SYS(sigaction(SIGUSR1, &action, nullptr));
  OM_CHECK(signal(SIGHUP, SIG_IGN) != SIG_ERR);
  OM_SYS(kill(getpid(), SIGUSR1));
  OM_SYS(kill(getpid(), SIGHUP));
  for (int i = 0; i < 2; ++i) {
    sigval value{};
    value.sival_int = 70 + i;
    OM_SYS(sigqueue(getpid(), SIGRTMIN + 5, value));
  }
  om_test_ready();
  om_test_wait_moved();
  const pid_t child = OM_SYS(fork());
  if (child == 0) {
    OM_CHECK(blocked(SIGUSR1) && !pending(SIGUSR1) && !pending(SIGRTMIN + 5));
    OM_CHECK(handler_of(SIGUSR1) == reinterpret_cast<void*>(action.sa_handler));
    stack_t seen{};
    OM_SYS(sigaltstack(nullptr, &seen));
    OM_CHECK_EQ(seen.ss_sp, static_cast<void*>(alternate));
    _exit(0);
  }
  om_test_join(child);
  OM_CHECK(pending(SIGUSR1));
  char self[4096] = {};
  OM_SYS(readlink("/proc/self/exe", self, sizeof self - 1));
  execl(self, argv[0], "executed", nullptr);
  OM_CHECK(false);
}
