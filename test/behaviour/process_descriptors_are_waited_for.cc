// SPDX-License-Identifier: Apache-2.0
//
// waitid(P_PIDFD) and poll() of process descriptors from before the move are blocked across it; a descriptor of the
// process itself carries signals with their siginfo; O_NONBLOCK, clone() with a descriptor, refusals.
// om-points: 2
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

constexpr idtype_t kPidfd = static_cast<idtype_t>(3);  // P_PIDFD
static volatile sig_atomic_t g_value;

static int pidfd_open_of(pid_t pid, unsigned flags = 0) {
  return static_cast<int>(OM_SYS(syscall(SYS_pidfd_open, pid, flags)));
}
static id_t id_of(int fd) { return static_cast<id_t>(fd); }

// A child that ends with `status` when it is told to.
static pid_t child(int* end, int status) {
  int ends[2];
  OM_SYS(pipe(ends));
  const pid_t pid = OM_SYS(fork());
  if (pid == 0) {
    OM_SYS(prctl(PR_SET_PDEATHSIG, SIGKILL));
    char byte;
    _exit(read(ends[0], &byte, 1) == 1 ? status : 1);
  }
  *end = ends[1];
  return pid;
}

int main() {
  struct sigaction action {};
  action.sa_sigaction = [](int, siginfo_t* info, void*) { g_value = info->si_value.sival_int; };
  action.sa_flags = SA_SIGINFO;
  OM_SYS(sigaction(SIGUSR1, &action, nullptr));
  const int self = pidfd_open_of(getpid());
  int ends[2];
  const pid_t one = child(&ends[0], 11), two = child(&ends[1], 12);
  const int first = pidfd_open_of(one), second = pidfd_open_of(two);
  const pid_t tell_one = om_test_helper([&] { OM_CHECK_EQ(write(ends[0], "x", 1), 1); }, 1),
              tell_two = om_test_helper([&] { OM_CHECK_EQ(write(ends[1], "x", 1), 1); }, 2);
  OmGuardedOut<siginfo_t> info;
  om_test_ready_blocking("waitid");
  OM_SYS(waitid(kPidfd, id_of(first), &info, WEXITED));
  OM_CHECK_EQ(info->si_pid, one);
  OM_CHECK_EQ(info->si_status, 11);
  om_test_wait_moved();
  om_test_join(tell_one);
  pollfd ready{second, POLLIN, 0};
  om_test_ready_blocking("poll");
  OM_CHECK_EQ(poll(&ready, 1, -1), 1);
  OM_CHECK_EQ(ready.revents & POLLIN, POLLIN);
  om_test_wait_moved();
  om_test_join(tell_two);
  OM_SYS(waitid(kPidfd, id_of(second), &info, WEXITED));
  OM_CHECK_EQ(info->si_status, 12);
  OM_CHECK_ERRNO(waitid(kPidfd, id_of(second), &info, WEXITED), ECHILD);
  siginfo_t sent{};
  sent.si_signo = SIGUSR1;
  sent.si_code = SI_QUEUE;
  sent.si_value.sival_int = 321;
  OM_SYS(syscall(SYS_pidfd_send_signal, self, SIGUSR1, &sent, 0));
  OM_CHECK_EQ(g_value, 321);
  OM_CHECK_ERRNO(syscall(SYS_pidfd_send_signal, self, SIGUSR2, &sent, 0), EINVAL);
  OM_CHECK_ERRNO(syscall(SYS_pidfd_send_signal, self, 0, nullptr, 1u << 10), EINVAL);
  OM_CHECK_ERRNO(syscall(SYS_pidfd_open, getpid(), 1u << 30), EINVAL);
  OM_CHECK_ERRNO(syscall(SYS_pidfd_open, -1, 0), EINVAL);
  OM_CHECK_ERRNO(syscall(SYS_pidfd_getfd, self, 999, 0), EBADF);
  const int copy = static_cast<int>(OM_SYS(syscall(SYS_pidfd_getfd, self, ends[0], 0)));
  OM_CHECK_EQ(fcntl(copy, F_GETFD), FD_CLOEXEC);
  const int waiting_child_end = ends[0];
  int end = waiting_child_end;
  const pid_t three = child(&end, 13);
  const int patient = pidfd_open_of(three, O_NONBLOCK);
  OM_CHECK_ERRNO(waitid(kPidfd, id_of(patient), &info, WEXITED), EAGAIN);
  OM_CHECK_EQ(write(end, "x", 1), 1);
  ready.fd = patient;
  OM_CHECK_EQ(poll(&ready, 1, -1), 1);
  OM_SYS(waitid(kPidfd, id_of(patient), &info, WEXITED));
  OmGuardedOut<int> fd;
  *fd = -1;
  const long four = OM_SYS(syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, nullptr, &fd, nullptr, 0));
  if (four == 0) _exit(14);
  OM_SYS(waitid(kPidfd, id_of(*fd), &info, WEXITED));
  OM_CHECK_EQ(info->si_pid, four);
  OM_CHECK_EQ(info->si_status, 14);
}
