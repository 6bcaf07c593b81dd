// SPDX-License-Identifier: Apache-2.0
//
// Handlers with every combination of SA_RESTART, SA_NODEFER, SA_RESETHAND, SA_ONSTACK and SA_SIGINFO, each for a
// signal of its own, are run by signals from outside while the process is moved and after: out of a blocked read(),
// which goes on or ends with EINTR, and out of computation.
#include "test/lib/om_test.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <atomic>

constexpr int kKinds = 32, kBlocked = 0, kComputing = 64, kReturned = 128;
constexpr int kFlags[] = {SA_RESTART, SA_NODEFER, static_cast<int>(SA_RESETHAND), SA_ONSTACK,
                          SA_SIGINFO};
static char g_alternate[65536];
static int g_data[2], g_orders[2], g_answers[2], g_next[2];
static volatile sig_atomic_t g_runs[kKinds], g_depth;
static pid_t g_sender;

static int flags_of(int kind) {
  int flags = 0;
  for (int i = 0; i < 5; ++i) flags |= (kind >> i & 1) != 0 ? kFlags[i] : 0;
  return flags;
}
static int number_of(int kind) {
  return kind < 2 ? (kind == 0 ? SIGUSR1 : SIGUSR2) : SIGRTMIN + kind - 2;
}
static int kind_of(int number) {
  return number < SIGRTMIN ? (number == SIGUSR1 ? 0 : 1) : number - SIGRTMIN + 2;
}
static void tell(int pipe_end, int what) {
  const char byte = static_cast<char>(what);
  OM_CHECK_EQ(write(pipe_end, &byte, 1), 1);
}

static void set(int kind);

static void ran(int number, const siginfo_t* info) {
  const int kind = kind_of(number), flags = flags_of(kind);
  const char here = 0;
  OM_CHECK_EQ(&here >= g_alternate && &here < g_alternate + sizeof g_alternate,
              (flags & SA_ONSTACK) != 0);
  sigset_t now;
  OM_SYS(sigprocmask(SIG_BLOCK, nullptr, &now));
  OM_CHECK_EQ(sigismember(&now, number), (flags & SA_NODEFER) == 0 ? 1 : 0);
  OM_CHECK_EQ(sigismember(&now, SIGHUP), 1);
  OM_CHECK_EQ(sigismember(&now, SIGWINCH), 0);
  const bool nested = g_depth > 0 || g_runs[kind] % 2 == 1;
  if (info != nullptr) {
    OM_CHECK_EQ(info->si_signo, number);
    OM_CHECK_EQ(info->si_code, nested ? SI_TKILL : SI_QUEUE);
    OM_CHECK_EQ(info->si_pid, nested ? getpid() : g_sender);
    if (!nested) OM_CHECK_EQ(info->si_value.sival_int, 1000 + kind);
  }
  g_runs[kind] = g_runs[kind] + 1;
  if ((flags & static_cast<int>(SA_RESETHAND)) != 0) {
    struct sigaction left {};
    OM_SYS(sigaction(number, nullptr, &left));
    OM_CHECK(left.sa_handler == SIG_DFL);
    g_runs[kind] = g_runs[kind] + 1;
    set(kind);
  } else if (!nested) {
    g_depth = g_depth + 1;
    const int before = g_runs[kind];
    OM_CHECK_EQ(raise(number), 0);
    OM_CHECK_EQ(g_runs[kind] - before, (flags & SA_NODEFER) != 0 ? 1 : 0);
    g_depth = g_depth - 1;
  }
  if (g_runs[kind] % 2 == 0 && (nested || (flags & static_cast<int>(SA_RESETHAND)) != 0))
    tell(g_answers[1], kind);
}

static void with_info(int number, siginfo_t* info, void* context) {
  OM_CHECK(context != nullptr);
  ran(number, info);
}
static void without_info(int number) { ran(number, nullptr); }

static void set(int kind) {
  struct sigaction action {};
  action.sa_flags = flags_of(kind);
  if ((action.sa_flags & SA_SIGINFO) != 0)
    action.sa_sigaction = with_info;
  else
    action.sa_handler = without_info;
  sigaddset(&action.sa_mask, SIGHUP);
  OM_SYS(sigaction(number_of(kind), &action, nullptr));
}

// Sends what is ordered, again if it came before read() was blocked, until the program says that it goes on.
static void sender(pid_t program) {
  for (unsigned char order = 0; read(g_orders[0], &order, 1) == 1;) {
    const int kind = order % 32;
    const bool restarts = order < kComputing && (flags_of(kind) & SA_RESTART) != 0;
    int sent = 0, handled = 0;
    bool returned = false;
    while (!returned || handled < sent) {
      pollfd answers{g_answers[0], POLLIN, 0};
      const bool send_now =
          handled == sent && !returned && (sent == 0 || (!restarts && poll(&answers, 1, 100) == 0));
      if (send_now) {
        usleep(300);
        sigval value{};
        value.sival_int = 1000 + kind;
        OM_SYS(sigqueue(program, number_of(kind), value));
        ++sent;
      }
      unsigned char answer = 0;
      OM_CHECK_EQ(read(g_answers[0], &answer, 1), 1);
      if (answer < kReturned) {
        OM_CHECK_EQ(answer, kind);
        if (++handled == 1 && restarts) tell(g_data[1], 'd');
      } else {
        returned = true;
      }
    }
    tell(g_next[1], 'n');
  }
}

static void step(int kind, int how) {
  const int before = g_runs[kind];
  tell(g_orders[1], how + kind);
  char byte = 0;
  if (how == kComputing) {
    while (g_runs[kind] < before + 2) continue;
  } else if ((flags_of(kind) & SA_RESTART) != 0) {
    OM_CHECK_EQ(read(g_data[0], &byte, 1), 1);
    OM_CHECK_EQ(byte, 'd');
  } else {
    OM_CHECK_ERRNO(read(g_data[0], &byte, 1), EINTR);
  }
  OM_CHECK(g_runs[kind] >= before + 2);
  tell(g_answers[1], kReturned);
  while (read(g_next[0], &byte, 1) != 1) OM_CHECK_EQ(errno, EINTR);
}

int main() {
  stack_t stack{};
  stack.ss_sp = g_alternate;
  stack.ss_size = sizeof g_alternate;
  OM_SYS(sigaltstack(&stack, nullptr));
  for (int* ends : {g_data, g_orders, g_answers, g_next}) OM_SYS(pipe(ends));
  const pid_t program = getpid();
  g_sender = OM_SYS(fork());
  if (g_sender == 0) {
    OM_SYS(prctl(PR_SET_PDEATHSIG, SIGKILL));
    close(g_orders[1]);
    sender(program);
    _exit(0);
  }
  for (int kind = 0; kind < kKinds; ++kind) set(kind);
  om_test_ready();
  std::atomic<bool> moved{false};
  sigset_t all, old;
  sigfillset(&all);
  OM_SYS(sigprocmask(SIG_SETMASK, &all, &old));
  OmThread waiter([&] {
    om_test_wait_moved();
    moved = true;
  });
  OM_SYS(sigprocmask(SIG_SETMASK, &old, nullptr));
  for (bool last = false; !last;) {
    last = moved;
    for (int kind = 0; kind < kKinds; ++kind) {
      step(kind, kBlocked);
      step(kind, kComputing);
    }
  }
  close(g_orders[1]);
  om_test_join(g_sender);
}
