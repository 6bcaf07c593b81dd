// SPDX-License-Identifier: Apache-2.0
//
// A process that gets a signal every millisecond, and threads that are sent SIGURG as often (as Go's scheduler does),
// move at once; what the handlers count and what they interrupt are right.
// om-transient: none
#include "test/lib/om_test.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <atomic>

static std::atomic<long> g_ticks{0}, g_urges{0};
static std::atomic<bool> g_stop{false};
static std::atomic<pid_t> g_computing[2];

static void count(int number) { (number == SIGALRM ? g_ticks : g_urges)++; }

// What handlers interrupt: sums that only uninterrupted registers and memory get right.
static void compute(int which) {
  g_computing[which] = gettid();
  while (!g_stop) {
    uint64_t sum = 0;
    double root = 2;
    for (uint64_t i = 0; i < 20000; i++) {
      sum += i * i;
      root = root * 0.5 + 1.0 / root;
    }
    OM_CHECK_EQ(sum, uint64_t{2666466670000});
    OM_CHECK(root > 1.41421356 && root < 1.41421357);
  }
}

// Until the moves are made.
static void send_signals(pid_t to) {
  OmThread waits([] {
    om_test_wait_moved();
    g_stop = true;
  });
  const timespec pause{0, kMilli};
  while (!g_stop) {
    kill(to, SIGALRM);
    for (const auto& tid : g_computing) syscall(SYS_tgkill, to, tid.load(), SIGURG);
    nanosleep(&pause, nullptr);
  }
}

int main() {
  struct sigaction action {};
  action.sa_handler = count;
  action.sa_flags = SA_RESTART;
  OM_SYS(sigaction(SIGALRM, &action, nullptr));
  OM_SYS(sigaction(SIGURG, &action, nullptr));
  OmThread one([] { compute(0); }), two([] { compute(1); });
  while (g_computing[0] == 0 || g_computing[1] == 0) sched_yield();
  const pid_t parent = getpid(), sender = fork();
  if (sender == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    send_signals(parent);
    _exit(0);
  }
  while (g_ticks == 0 || g_urges == 0) sched_yield();
  om_test_ready();
  om_test_wait_moved();
  g_stop = true;
  om_test_join(sender);
  one.join();
  two.join();
  puts("signals counted");
}
