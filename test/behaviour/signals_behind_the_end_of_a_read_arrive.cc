// SPDX-License-Identifier: Apache-2.0
//
// read() is blocked across the move; data ends it and queued signals follow at once, while the answer is on its
// way: every one of them arrives, once.
// om-points: each
#include "test/lib/om_test.h"

#include <signal.h>

static constexpr int kRounds = 4, kSignals = 200;
static int arrived;

static volatile char seen[kSignals];

static void handler(int, siginfo_t* info, void*) {
  const int i = info->si_value.sival_int;
  OM_CHECK(i >= 0 && i < kSignals && seen[i] == 0);
  seen[i] = 1;
  __atomic_fetch_add(&arrived, 1, __ATOMIC_RELAXED);
}

int main() {
  struct sigaction action {};
  action.sa_sigaction = handler;
  action.sa_flags = SA_SIGINFO | SA_RESTART | SA_NODEFER;
  OM_SYS(sigaction(SIGRTMIN, &action, nullptr));
  int ends[2];
  OM_SYS(pipe(ends));
  const pid_t parent = getpid();
  pid_t senders[kRounds];
  for (int round = 0; round < kRounds; ++round) {
    senders[round] = om_test_helper(
        [&] {
          OM_CHECK_EQ(write(ends[1], "x", 1), 1);
          for (int i = 0; i < kSignals; ++i) {
            sigval value{};
            value.sival_int = i;
            OM_SYS(sigqueue(parent, SIGRTMIN, value));
            // Spread over the time that the answer takes, not before it.
            for (const int64_t sent = om_test_ns(); om_test_ns() - sent < 10'000;) {
            }
          }
        },
        round + 1);
  }
  for (pid_t sender : senders) {
    arrived = 0;
    for (volatile char& s : seen) s = 0;
    char byte = 0;
    om_test_ready_blocking("read");
    OM_CHECK_EQ(read(ends[0], &byte, 1), 1);
    OM_CHECK_EQ(byte, 'x');
    om_test_join(sender);
    const int64_t start = om_test_ns();
    while (__atomic_load_n(&arrived, __ATOMIC_RELAXED) < kSignals &&
           om_test_ns() - start < 10'000'000'000)
      usleep(1000);
    OM_CHECK_EQ(arrived, kSignals);
  }
}
