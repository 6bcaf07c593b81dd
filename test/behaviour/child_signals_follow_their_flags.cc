// SPDX-License-Identifier: Apache-2.0
//
// SIGCHLD of children that stop, go on and end after the move: with SA_NOCLDSTOP only their end is told, with
// SA_NOCLDWAIT (set before or after the move) nothing is left to wait for; waitid() sees every change, also without
// taking it.
// om-points: 2
#include "test/lib/om_test.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

constexpr int kMost = 16;
static volatile sig_atomic_t g_codes[kMost], g_count;

static void on_child(int, siginfo_t* info, void*) {
  g_codes[g_count % kMost] = info->si_code;
  g_count = g_count + 1;
}

static void set(int flags) {
  struct sigaction action {};
  action.sa_sigaction = on_child;
  action.sa_flags = SA_SIGINFO | SA_RESTART | flags;
  OM_SYS(sigaction(SIGCHLD, &action, nullptr));
}

static void await(int count, int code) {
  while (g_count < count) usleep(1000);
  OM_CHECK_EQ(g_count, count);
  OM_CHECK_EQ(g_codes[count - 1], code);
}

// Children from before the move; pipes tell them to end.
static pid_t child(int ends[2]) {
  OM_SYS(pipe(ends));
  const pid_t pid = OM_SYS(fork());
  if (pid == 0) {
    OM_SYS(prctl(PR_SET_PDEATHSIG, SIGKILL));
    char byte;
    _exit(read(ends[0], &byte, 1) == 1 ? 7 : 1);
  }
  return pid;
}

static int change(pid_t pid, int options) {
  OmGuardedOut<siginfo_t> info;
  OM_SYS(waitid(P_PID, static_cast<id_t>(pid), &info, options));
  OM_CHECK_EQ(info->si_pid, pid);
  OM_CHECK_EQ(info->si_signo, SIGCHLD);
  return info->si_code;
}

int main() {
  int one[2], two[2], three[2];
  const pid_t told = child(one), untold = child(two), unwaited = child(three);
  set(0);
  om_test_ready();
  om_test_wait_moved();
  OM_SYS(kill(told, SIGSTOP));
  await(1, CLD_STOPPED);
  OM_CHECK_EQ(change(told, WSTOPPED | WNOWAIT), CLD_STOPPED);
  OM_CHECK_EQ(change(told, WSTOPPED), CLD_STOPPED);
  OM_SYS(kill(told, SIGCONT));
  await(2, CLD_CONTINUED);
  OM_CHECK_EQ(change(told, WCONTINUED | WNOWAIT), CLD_CONTINUED);
  OM_CHECK_EQ(change(told, WCONTINUED), CLD_CONTINUED);
  OM_SYS(kill(told, SIGKILL));
  await(3, CLD_KILLED);
  OM_CHECK_EQ(change(told, WEXITED | WNOWAIT), CLD_KILLED);
  OM_CHECK_EQ(change(told, WEXITED), CLD_KILLED);
  set(SA_NOCLDSTOP);
  OM_SYS(kill(untold, SIGSTOP));
  OM_CHECK_EQ(change(untold, WSTOPPED), CLD_STOPPED);
  OM_SYS(kill(untold, SIGCONT));
  OM_CHECK_EQ(change(untold, WCONTINUED), CLD_CONTINUED);
  OM_CHECK_EQ(g_count, 3);
  OM_CHECK_EQ(write(two[1], "x", 1), 1);
  await(4, CLD_EXITED);
  int status = 0;
  OM_CHECK_EQ(waitpid(untold, &status, 0), untold);
  OM_CHECK_EQ(WEXITSTATUS(status), 7);
  set(SA_NOCLDWAIT);
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_EQ(write(three[1], "x", 1), 1);
  OM_CHECK_ERRNO(waitpid(unwaited, &status, 0), ECHILD);
  await(5, CLD_EXITED);
}
