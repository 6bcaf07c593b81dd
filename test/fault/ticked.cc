// SPDX-License-Identifier: Apache-2.0
//
// Counts lines as `numbered` does while a timer's signal comes every millisecond: line k is written, and each of its
// calls is made once. The calls before a line:
//
//   ticked LINES PAUSE_US [plain | handler | blocking | two]
//
// plain: none that wait; handler: the handler makes one as well; blocking: two that wait for something already there,
// and one that times out; two: none that wait, and a second timer whose signal interrupts the first one's handler.
// Lines and end are those of `numbered`.
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t g_ticks, g_inside;
static bool g_handler_calls;
static int g_pipe[2];

[[noreturn]] static void die(const char* what) {
  perror(what);
  _exit(1);
}

static void tick(int) {
  const int saved = errno;
  if (g_inside != 0) die("a handler inside itself");
  g_inside = 1;
  g_ticks = g_ticks + 1;
  struct stat s;
  if (g_handler_calls && fstat(g_pipe[0], &s) != 0) die("fstat");
  g_inside = 0;
  errno = saved;
}

static void block() {
  char c = 'x';
  if (write(g_pipe[1], &c, 1) != 1) die("write");
  if (read(g_pipe[0], &c, 1) != 1 || c != 'x') die("read");
  pollfd nothing{g_pipe[0], POLLIN, 0};
  const int n = poll(&nothing, 1, 1);
  if (n != 0 && (n != -1 || errno != EINTR)) die("poll");
}

static void other_tick(int) { g_ticks = g_ticks + 1; }

// Each timer's handler may interrupt the other's.
static void start_other_timer() {
  struct sigaction action {};
  action.sa_handler = other_tick;
  action.sa_flags = SA_RESTART;
  sigaction(SIGUSR1, &action, nullptr);
  sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGUSR1;
  timer_t timer;
  const itimerspec often{{0, 1300000}, {0, 1300000}};
  if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 ||
      timer_settime(timer, 0, &often, nullptr) != 0)
    die("timer");
}

int main(int argc, char** argv) {
  if (argc != 3 && argc != 4) return 2;
  const long lines = atol(argv[1]);
  const char* how = argc == 4 ? argv[3] : "plain";
  g_handler_calls = strcmp(how, "handler") == 0;
  const bool blocking = strcmp(how, "blocking") == 0;
  if (pipe(g_pipe) != 0) die("pipe");
  struct sigaction action {};
  action.sa_handler = tick;
  action.sa_flags = SA_RESTART;
  sigaction(SIGALRM, &action, nullptr);
  const itimerval often{{0, 1000}, {0, 1000}};
  if (setitimer(ITIMER_REAL, &often, nullptr) != 0) die("setitimer");
  if (strcmp(how, "two") == 0) start_other_timer();
  for (long k = 0; k < lines || access("stop", F_OK) != 0; ++k) {
    if (blocking) block();
    char line[32];
    const int length = snprintf(line, sizeof line, "%ld\n", k);
    if (write(STDOUT_FILENO, line, static_cast<size_t>(length)) != length) die("line");
  }
  const itimerval off{};
  setitimer(ITIMER_REAL, &off, nullptr);
  sigset_t mask;
  sigprocmask(SIG_SETMASK, nullptr, &mask);
  if (sigismember(&mask, SIGALRM) || sigismember(&mask, SIGUSR1) || g_ticks == 0) die("signals");
  dprintf(STDOUT_FILENO, "sound\n");
  return 7;
}
