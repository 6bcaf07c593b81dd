// SPDX-License-Identifier: Apache-2.0
//
// pthread_kill() and tgkill() run the handler in the thread they name, computing or blocked.
#include "test/lib/om_test.h"

#include <semaphore.h>
#include <signal.h>
#include <sys/syscall.h>
#include <atomic>

static thread_local volatile sig_atomic_t t_count;
static sem_t g_handled;
static std::atomic<bool> g_stop{false};
static std::atomic<pid_t> g_tids[2];

static void spin() {
  g_tids[0] = gettid();
  while (!g_stop) continue;
  OM_CHECK_EQ(t_count, 10);
}

static void block(int fd) {
  g_tids[1] = gettid();
  char c;
  OM_CHECK_EQ(read(fd, &c, 1), 1);
  OM_CHECK_EQ(t_count, 10);
}

int main() {
  int ends[2];
  OM_SYS(pipe(ends));
  OM_SYS(sem_init(&g_handled, 0, 0));
  struct sigaction action {};
  action.sa_handler = [](int) {
    t_count = t_count + 1;
    sem_post(&g_handled);
  };
  action.sa_flags = SA_RESTART;
  OM_SYS(sigaction(SIGUSR1, &action, nullptr));
  OmThread spinner(spin);
  OmThread blocker([&] { block(ends[0]); });
  while (g_tids[0] == 0 || g_tids[1] == 0) sched_yield();
  om_test_ready();
  om_test_wait_moved();
  for (int i = 0; i < 5; ++i) {
    for (OmThread* thread : {&spinner, &blocker}) {
      OM_CHECK_EQ(pthread_kill(thread->handle(), SIGUSR1), 0);
      while (sem_wait(&g_handled) != 0) continue;
    }
    for (pid_t tid : {g_tids[0].load(), g_tids[1].load()}) {
      OM_SYS(syscall(SYS_tgkill, getpid(), tid, SIGUSR1));
      while (sem_wait(&g_handled) != 0) continue;
    }
  }
  OM_CHECK_EQ(t_count, 0);
  g_stop = true;
  OM_CHECK_EQ(write(ends[1], "x", 1), 1);
}
