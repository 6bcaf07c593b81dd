// SPDX-License-Identifier: Apache-2.0
//
// Threads wait across the move with sigwait(), sigwaitinfo() and sigtimedwait(), one in each: signals for the process
// go to one of them, signals for a thread to that one only; a wait of no length takes what is pending.
#include "test/lib/om_test.h"

#include <signal.h>

#include <atomic>

static std::atomic<int> g_process{0}, g_own[3], g_waiting{0};

static sigset_t wanted() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGRTMIN);
  sigaddset(&set, SIGRTMIN + 1);
  return set;
}

static void wait_for(int index) {
  const sigset_t set = wanted();
  ++g_waiting;
  for (;;) {
    int number = 0;
    if (index == 0) {
      OM_CHECK_EQ(sigwait(&set, &number), 0);
    } else if (index == 1) {
      number = sigwaitinfo(&set, nullptr);
    } else {
      const timespec limit{100, 0};
      number = sigtimedwait(&set, nullptr, &limit);
    }
    if (number == -1) {
      OM_CHECK_EQ(errno, EINTR);  // another thread was quicker
      continue;
    }
    if (number == SIGRTMIN) {
      ++g_process;
    } else {
      OM_CHECK_EQ(number, SIGRTMIN + 1);
      if (++g_own[index] == 2) return;
    }
  }
}

int main() {
  const sigset_t set = wanted();
  OM_SYS(sigprocmask(SIG_BLOCK, &set, nullptr));
  OmThread one([] { wait_for(0); }), two([] { wait_for(1); }), three([] { wait_for(2); });
  while (g_waiting < 3) usleep(1000);
  usleep(5000);
  om_test_ready();
  om_test_wait_moved();
  for (int i = 0; i < 30; ++i) OM_SYS(kill(getpid(), SIGRTMIN));
  while (g_process < 30) usleep(1000);
  OmThread* threads[] = {&one, &two, &three};
  for (int round = 1; round <= 2; ++round) {
    for (int i = 0; i < 3; ++i) {
      OM_CHECK_EQ(pthread_kill(threads[i]->handle(), SIGRTMIN + 1), 0);
      while (g_own[i] < round) usleep(1000);
    }
  }
  for (OmThread* thread : threads) thread->join();
  OM_CHECK_EQ(g_process.load(), 30);
  const timespec none{0, 0};
  OM_CHECK_ERRNO(sigtimedwait(&set, nullptr, &none), EAGAIN);
  OM_CHECK_EQ(pthread_kill(pthread_self(), SIGRTMIN + 1), 0);
  OM_SYS(kill(getpid(), SIGRTMIN));
  OM_CHECK_EQ(sigtimedwait(&set, nullptr, &none), SIGRTMIN + 1);  // the thread's own come first
  OM_CHECK_EQ(sigtimedwait(&set, nullptr, &none), SIGRTMIN);
  const timespec wrong{0, 1000000000};
  OM_CHECK_ERRNO(sigtimedwait(&set, nullptr, &wrong), EINVAL);
}
