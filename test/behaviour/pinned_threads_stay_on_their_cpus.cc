// SPDX-License-Identifier: Apache-2.0
//
// Threads that have been given a CPU, by themselves or by another thread, are on it at all times, and threads that they
// make are, too: getcpu, the restartable sequence area and the affinity say the same.
// om-points: moves
// om-stays: away
#include "test/lib/om_test.h"

#include <sched.h>
#include <sys/syscall.h>

#include <atomic>

namespace {

int g_cpu[2];
std::atomic<bool> g_done{false};
std::atomic<pid_t> g_other{0};
// What the other thread is asked to look for, and whether it has.
std::atomic<int> g_asked{-1};

void give(pid_t tid, int cpu) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  OM_SYS(sched_setaffinity(tid, sizeof one, &one));
}

void check_on(int cpu) {
  cpu_set_t now;
  CPU_ZERO(&now);
  OM_SYS(sched_getaffinity(0, sizeof now, &now));
  OM_CHECK_EQ(CPU_COUNT(&now), 1);
  OM_CHECK(CPU_ISSET(cpu, &now));
  for (int i = 0; i < 200; i++) {
    unsigned said = ~0u;
    OM_SYS(getcpu(&said, nullptr));
    OM_CHECK_EQ(said, static_cast<unsigned>(cpu));
    OM_SYS(syscall(SYS_getcpu, &said, nullptr, nullptr));
    OM_CHECK_EQ(said, static_cast<unsigned>(cpu));
    OM_CHECK_EQ(sched_getcpu(), cpu);
  }
}

void stay_on(int cpu) {
  give(0, cpu);
  while (!g_done) check_on(cpu);
}

void follow() {
  g_other = static_cast<pid_t>(syscall(SYS_gettid));
  while (!g_done) {
    const int cpu = g_asked;
    if (cpu >= 0) {
      check_on(cpu);
      g_asked = -1;
    }
    sched_yield();
  }
}

void check_all(const cpu_set_t& all, int round) {
  give(g_other, g_cpu[round % 2]);
  g_asked = g_cpu[round % 2];
  while (g_asked >= 0) sched_yield();
  const int cpu = g_cpu[(round + 1) % 2];
  give(0, cpu);
  check_on(cpu);
  OmThread([cpu] { check_on(cpu); }).join();
  OM_SYS(sched_setaffinity(0, sizeof all, &all));
  cpu_set_t now;
  CPU_ZERO(&now);
  OM_SYS(sched_getaffinity(0, sizeof now, &now));
  OM_CHECK(CPU_EQUAL(&now, &all));
}

}  // namespace

int main() {
  cpu_set_t all;
  CPU_ZERO(&all);
  OM_SYS(sched_getaffinity(0, sizeof all, &all));
  int found = 0;
  for (int cpu = 0; cpu < CPU_SETSIZE && found < 2; cpu++) {
    if (CPU_ISSET(cpu, &all)) g_cpu[found++] = cpu;
  }
  if (found < 2) om_test_skip("only one CPU");
  OmThread first([] { stay_on(g_cpu[0]); }), second([] { stay_on(g_cpu[1]); }), other(follow);
  while (g_other == 0) sched_yield();
  int round = 0;
  check_all(all, round++);
  for (int point = 0; point == 0 || point < om_test_moves(); point++) {
    om_test_ready();
    check_all(all, round++);
    om_test_wait_moved();
    for (int i = 0; i < 5; i++) check_all(all, round++);
  }
  g_done = true;
}
