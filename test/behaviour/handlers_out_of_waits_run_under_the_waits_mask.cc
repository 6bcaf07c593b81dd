// SPDX-License-Identifier: Apache-2.0
//
// sigsuspend, ppoll, pselect and epoll_pwait are blocked across the move with masks of their own. The handler that
// ends them runs under that mask and its own; afterwards the old mask is back. So it is for a signal that was pending
// before the call.
// om-points: 4
#include "test/lib/om_test.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>

static sigset_t during;

static sigset_t set_of(int a, int b = 0, int c = 0) {
  sigset_t set;
  sigemptyset(&set);
  for (int number : {a, b, c}) {
    if (number != 0) sigaddset(&set, number);
  }
  return set;
}

static bool same(const sigset_t& a, const sigset_t& b) { return memcmp(&a, &b, 8) == 0; }

static void handler(int) { sigprocmask(SIG_BLOCK, nullptr, &during); }

int main() {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_mask = set_of(SIGWINCH);
  OM_SYS(sigaction(SIGUSR1, &action, nullptr));
  const sigset_t usual = set_of(SIGUSR1, SIGHUP), waiting = set_of(SIGUSR2);
  OM_SYS(sigprocmask(SIG_SETMASK, &usual, nullptr));
  const pid_t parent = getpid();
  pid_t senders[4];
  for (int i = 0; i < 4; ++i)
    senders[i] = om_test_helper([=] { OM_SYS(kill(parent, SIGUSR1)); }, i + 1);
  const int queue = epoll_create1(0);
  const char* const calls[] = {"rt_sigsuspend", "ppoll", "pselect6", "epoll_pwait"};
  for (int i = 0; i < 4; ++i) {
    epoll_event event;
    for (const bool pending : {false, true}) {
      if (pending) {
        OM_SYS(raise(SIGUSR1));
      } else {
        om_test_ready_blocking(calls[i]);
      }
      int result = 0;
      if (i == 0) result = sigsuspend(&waiting);
      if (i == 1) result = ppoll(nullptr, 0, nullptr, &waiting);
      if (i == 2) result = pselect(0, nullptr, nullptr, nullptr, nullptr, &waiting);
      if (i == 3) result = epoll_pwait(queue, &event, 1, -1, &waiting);
      OM_CHECK(result == -1 && errno == EINTR);
      OM_CHECK(same(during, set_of(SIGUSR1, SIGUSR2, SIGWINCH)));
      sigset_t now;
      sigemptyset(&now);
      OM_SYS(sigprocmask(SIG_BLOCK, nullptr, &now));
      OM_CHECK(same(now, usual));
      if (!pending) om_test_join(senders[i]);
      sigemptyset(&during);
    }
  }
}
