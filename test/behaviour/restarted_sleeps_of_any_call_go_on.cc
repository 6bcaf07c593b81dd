// SPDX-License-Identifier: Apache-2.0
//
// Sleeps and waits that a stop and a continuation have interrupted, which the kernel then shows as another call
// (restart_syscall), go on across the move until a signal with a handler ends them. They were made by syscall():
// neither the instruction tells which call it was, nor what is in the registers of arguments that it does not have.
#include "test/lib/om_test.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>

static long number_of_call(pid_t tid) {
  char path[64], text[32] = "";
  snprintf(path, sizeof path, "/proc/self/task/%d/syscall", tid);
  FILE* file = fopen(path, "r");
  OM_CHECK(file != nullptr);
  OM_CHECK(fgets(text, sizeof text, file) != nullptr);
  fclose(file);
  return text[0] == 'r' ? -1 : atol(text);
}

int main() {
  static constexpr int kCalls = 5;
  static constexpr long kNumbers[kCalls] = {SYS_nanosleep, SYS_nanosleep, SYS_clock_nanosleep,
                                            SYS_poll, SYS_poll};
  static volatile pid_t tids[kCalls];
  static timespec times[kCalls];
  static pollfd polled{-1, POLLIN, 0};
  for (timespec& t : times) t = {100, 0};
  struct sigaction action {};
  action.sa_handler = [](int) {};
  OM_SYS(sigaction(SIGUSR1, &action, nullptr));
  auto sleeper = [](int i) {
    const long time = reinterpret_cast<long>(&times[i]), other = reinterpret_cast<long>(&tids);
    const long arguments[kCalls][4] = {{time, time, other, other},
                                       {time, 0, other, other},
                                       {CLOCK_MONOTONIC, 0, time, time},
                                       {0, 0, 100000, other},
                                       {reinterpret_cast<long>(&polled), 1, -1, other}};
    const long* a = arguments[i];
    tids[i] = static_cast<pid_t>(syscall(SYS_gettid));
    OM_CHECK_EQ(syscall(kNumbers[i], a[0], a[1], a[2], a[3]), -1);
    OM_CHECK_EQ(errno, EINTR);
    tids[i] = -1;
  };
  OmThread a([&] { sleeper(0); }), b([&] { sleeper(1); }), c([&] { sleeper(2); }),
      d([&] { sleeper(3); }), e([&] { sleeper(4); });
  const timespec pause{0, 1000000};
  auto wait_for = [&](int i, long number) {
    while (tids[i] == 0 || number_of_call(tids[i]) != number) nanosleep(&pause, nullptr);
  };
  for (int i = 0; i < kCalls; i++) wait_for(i, kNumbers[i]);
  const pid_t child = OM_SYS(fork());
  if (child == 0) {
    OM_SYS(kill(getppid(), SIGSTOP));
    om_test_wait_state(getppid(), 'T');
    OM_SYS(kill(getppid(), SIGCONT));
    _exit(0);
  }
  om_test_join(child);
  for (int i = 0; i < kCalls; i++) wait_for(i, SYS_restart_syscall);
  om_test_ready();
  om_test_wait_moved();
  OmThread* threads[kCalls] = {&a, &b, &c, &d, &e};
  for (int i = 0; i < kCalls; i++) {
    OM_CHECK(tids[i] > 0);
    OM_CHECK_EQ(pthread_kill(threads[i]->handle(), SIGUSR1), 0);
    threads[i]->join();
  }
  for (int i : {0, 2}) {
    OM_CHECK(times[i].tv_sec < 100);
    OM_CHECK(times[i].tv_sec > 0 || times[i].tv_nsec > 0);
  }
}
