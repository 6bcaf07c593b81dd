// SPDX-License-Identifier: Apache-2.0
//
// Signals that descriptors raise for an owner, set before the move: for one thread, for a group, by the default SIGIO
// and by a signal of its own, for urgent data, for a lease that another process breaks, for changes in a directory.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

constexpr int kCount = 5, kGetOwnerUids = 17;  // F_GETOWNER_UIDS, of linux/fcntl.h

static void tcp_pair(int* here, int* there) {
  const int listener = OM_SYS(socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t bytes = sizeof address;
  OM_SYS(bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address));
  OM_SYS(listen(listener, 1));
  OM_SYS(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &bytes));
  *there = OM_SYS(socket(AF_INET, SOCK_STREAM, 0));
  OM_SYS(connect(*there, reinterpret_cast<sockaddr*>(&address), sizeof address));
  *here = OM_SYS(accept(listener, nullptr, nullptr));
  close(listener);
}

static void own(int fd, int type, pid_t id, int sig) {
  f_owner_ex owner{};
  owner.type = static_cast<__pid_type>(type);
  owner.pid = id;
  OM_SYS(fcntl(fd, F_SETOWN_EX, &owner));
  if (sig != 0) OM_SYS(fcntl(fd, F_SETSIG, sig));
}

static void check_owner(int fd, int type, pid_t id) {
  OmGuardedOut<f_owner_ex> owner;
  OM_SYS(fcntl(fd, F_GETOWN_EX, &owner));
  OM_CHECK_EQ(owner->type, type);
  OM_CHECK_EQ(owner->pid, id);
  OmGuarded users(2 * sizeof(uid_t));
  if (fcntl(fd, kGetOwnerUids, users.data()) == 0) OM_CHECK_EQ(users.as<uid_t>()[1], geteuid());
}

int main() {
  int pair[2], tcp, peer;
  OM_SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  tcp_pair(&tcp, &peer);
  OM_SYS(mkdir("dir", 0700));
  const int file = OM_SYS(open("leased", O_RDWR | O_CREAT, 0600)),
            dir = OM_SYS(open("dir", O_RDONLY | O_DIRECTORY));
  OM_SYS(close(file));
  const int leased = OM_SYS(open("leased", O_RDONLY));
  sigset_t set;
  sigemptyset(&set);
  for (int number : {SIGIO, SIGURG, SIGRTMIN + 1, SIGRTMIN + 2, SIGRTMIN + 3})
    sigaddset(&set, number);
  OM_SYS(sigprocmask(SIG_BLOCK, &set, nullptr));
  own(pair[0], F_OWNER_TID, gettid(), SIGRTMIN + 1);
  own(tcp, F_OWNER_PID, getpid(), 0);  // SIGURG needs no O_ASYNC
  own(pair[1], F_OWNER_PGRP, getpgrp(), 0);
  for (int fd : pair) OM_SYS(fcntl(fd, F_SETFL, O_ASYNC));
  OM_SYS(fcntl(dir, F_SETSIG, SIGRTMIN + 3));
  OM_SYS(fcntl(dir, F_NOTIFY, DN_CREATE));
  OM_SYS(fcntl(leased, F_SETSIG, SIGRTMIN + 2));
  OM_SYS(fcntl(leased, F_SETLEASE, F_RDLCK));
  const int both[2] = {pair[0], pair[1]};
  const pid_t other = om_test_helper([&] {
    for (int fd : both) OM_CHECK_EQ(send(fd, "x", 1, 0), 1);
    OM_CHECK_EQ(send(peer, "u", 1, MSG_OOB), 1);
    close(OM_SYS(open("dir/new", O_RDWR | O_CREAT, 0600)));
    OM_CHECK_ERRNO(open("leased", O_WRONLY | O_NONBLOCK), EWOULDBLOCK);
  });
  bool seen[kCount] = {};
  om_test_ready_blocking("rt_sigtimedwait");
  for (int left = kCount; left > 0;) {
    siginfo_t info{};
    const int number = OM_SYS(sigwaitinfo(&set, &info));
    const int which = number == SIGIO ? 0 : number == SIGURG ? 1 : number - SIGRTMIN + 1;
    if (number == SIGRTMIN + 1) OM_CHECK_EQ(info.si_fd, pair[0]);
    if (number == SIGRTMIN + 2) OM_CHECK_EQ(info.si_fd, leased);
    if (number == SIGRTMIN + 3) OM_CHECK_EQ(info.si_fd, dir);
    if (!seen[which]) --left;
    seen[which] = true;
  }
  om_test_wait_moved();
  om_test_join(other);
  check_owner(pair[0], F_OWNER_TID, gettid());
  check_owner(tcp, F_OWNER_PID, getpid());
  check_owner(pair[1], F_OWNER_PGRP, getpgrp());
  OM_CHECK_EQ(fcntl(pair[1], F_GETOWN), -getpgrp());
  OM_CHECK_EQ(fcntl(leased, F_GETLEASE), F_UNLCK);  // to this it is being broken
  OM_SYS(fcntl(leased, F_SETLEASE, F_UNLCK));
  char urgent = 0;
  OM_CHECK_EQ(recv(tcp, &urgent, 1, MSG_OOB), 1);
  OM_CHECK_EQ(urgent, 'u');
}
