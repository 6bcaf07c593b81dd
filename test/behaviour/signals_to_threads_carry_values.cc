// SPDX-License-Identifier: Apache-2.0
//
// rt_tgsigqueueinfo (pthread_sigqueue), rt_sigqueueinfo and tkill to threads and to itself.
#include "test/lib/om_test.h"

#include <signal.h>
#include <sys/syscall.h>
#include <atomic>

static thread_local volatile sig_atomic_t t_value;
static std::atomic<int> g_total{0};

int main() {
  struct sigaction action {};
  action.sa_sigaction = [](int, siginfo_t* info, void*) {
    t_value = info->si_code == SI_TKILL ? 1000 : info->si_value.sival_int;
    g_total += t_value;
  };
  action.sa_flags = SA_SIGINFO;
  OM_SYS(sigaction(SIGRTMIN + 4, &action, nullptr));
  std::atomic<bool> stop{false};
  om_test_ready();
  OmThread other([&] {
    while (!stop) continue;
    OM_CHECK_EQ(t_value, 1000);
  });
  om_test_wait_moved();
  sigval value{};
  value.sival_int = 5;
  OM_CHECK_EQ(pthread_sigqueue(pthread_self(), SIGRTMIN + 4, value), 0);
  OM_CHECK_EQ(t_value, 5);
  value.sival_int = 6;
  OM_CHECK_EQ(pthread_sigqueue(other.handle(), SIGRTMIN + 4, value), 0);
  while (g_total != 11) continue;
  OM_SYS(syscall(SYS_tkill, gettid(), SIGRTMIN + 4));
  OM_CHECK_EQ(t_value, 1000);
  OM_CHECK_EQ(pthread_kill(other.handle(), SIGRTMIN + 4), 0);
  while (g_total != 2011) continue;
  stop = true;
  siginfo_t info{};
  info.si_code = SI_USER;  // only the kernel and kill() may say that to others
  info.si_signo = SIGRTMIN + 4;
  OM_CHECK_ERRNO(syscall(SYS_rt_sigqueueinfo, getppid(), SIGRTMIN + 4, &info), EPERM);
}
