// SPDX-License-Identifier: Apache-2.0
//
// Every command of fcntl() on descriptors from before the move: duplicates, flags, owners, three kinds of locks and
// who holds them, leases, notices, pipe sizes, seals, hints.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

constexpr int kDupQuery = 1027, kCreatedQuery = 1028;  // F_DUPFD_QUERY, F_CREATED_QUERY
constexpr int kSealExec = 0x20;  // F_SEAL_EXEC, which vm.memfd_noexec may have set

static struct flock lock_of(short type, off_t start) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = start;
  lock.l_len = 10;
  return lock;
}

// A child holds locks at 100 (its own) and 200 (of the open file) until the pipe is closed.
static pid_t holder(int fd) {
  int ends[2], held[2];
  OM_SYS(pipe(ends));
  OM_SYS(pipe(held));
  const pid_t child = OM_SYS(fork());
  if (child == 0) {
    OM_SYS(prctl(PR_SET_PDEATHSIG, SIGKILL));
    const int own = OM_SYS(open("file", O_RDWR));
    struct flock first = lock_of(F_WRLCK, 100), second = lock_of(F_RDLCK, 200);
    OM_SYS(fcntl(fd, F_SETLK, &first));
    OM_SYS(fcntl(own, F_OFD_SETLK, &second));
    OM_CHECK_EQ(write(held[1], "x", 1), 1);
    for (;;) pause();
  }
  char byte;
  OM_CHECK_EQ(read(held[0], &byte, 1), 1);
  return child;
}

static void locks(int fd, pid_t other) {
  OmGuardedOut<struct flock> lock;
  *lock = lock_of(F_WRLCK, 100);
  OM_SYS(fcntl(fd, F_GETLK, &lock));
  OM_CHECK_EQ(lock->l_type, F_WRLCK);
  OM_CHECK_EQ(lock->l_pid, other);
  *lock = lock_of(F_WRLCK, 200);
  OM_SYS(fcntl(fd, F_OFD_GETLK, &lock));
  OM_CHECK_EQ(lock->l_type, F_RDLCK);
  OM_CHECK_EQ(lock->l_pid, -1);
  OM_CHECK_EQ(lock->l_start, 200);
  *lock = lock_of(F_WRLCK, 100);
  OM_CHECK_ERRNO(fcntl(fd, F_SETLK, &lock), EAGAIN);
  *lock = lock_of(F_WRLCK, 200);
  OM_CHECK_ERRNO(fcntl(fd, F_OFD_SETLK, &lock), EAGAIN);
  *lock = lock_of(F_WRLCK, 300);
  OM_SYS(fcntl(fd, F_SETLKW, &lock));
  *lock = lock_of(F_UNLCK, 300);
  OM_SYS(fcntl(fd, F_SETLK, &lock));
  *lock = lock_of(F_WRLCK, 400);
  OM_SYS(fcntl(fd, F_OFD_SETLKW, &lock));
  *lock = lock_of(F_WRLCK, 500);
  OM_SYS(fcntl(fd, F_GETLK, &lock));
  OM_CHECK_EQ(lock->l_type, F_UNLCK);
  *lock = lock_of(99, 0);
  OM_CHECK_ERRNO(fcntl(fd, F_SETLK, &lock), EINVAL);
}

static void hints(int fd) {
  OmGuardedOut<uint64_t> hint;
  *hint = RWH_WRITE_LIFE_SHORT;
  if (fcntl(fd, F_SET_RW_HINT, &hint) == 0) {
    *hint = 99;
    OM_SYS(fcntl(fd, F_GET_RW_HINT, &hint));
    OM_CHECK_EQ(*hint, RWH_WRITE_LIFE_SHORT);
  }
  *hint = RWH_WRITE_LIFE_LONG;
  if (fcntl(fd, F_SET_FILE_RW_HINT, &hint) == 0) {
    *hint = 99;
    OM_SYS(fcntl(fd, F_GET_FILE_RW_HINT, &hint));
    OM_CHECK_EQ(*hint, RWH_WRITE_LIFE_LONG);
  } else {
    OM_CHECK_EQ(errno, EINVAL);  // not since Linux 5.17
    OM_CHECK_ERRNO(fcntl(fd, F_GET_FILE_RW_HINT, &hint), EINVAL);
  }
}

int main() {
  const int fd = OM_SYS(open("file", O_RDWR | O_CREAT | O_APPEND, 0600)),
            second = OM_SYS(open("file", O_RDONLY)),
            seals = OM_SYS(memfd_create("sealed", MFD_ALLOW_SEALING));
  OM_SYS(fcntl(seals, F_ADD_SEALS, F_SEAL_GROW));
  int ends[2];
  OM_SYS(pipe(ends));
  const pid_t other = holder(fd);
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_EQ(fcntl(fd, F_DUPFD, 50), 50);
  OM_CHECK_EQ(fcntl(fd, F_DUPFD_CLOEXEC, 50), 51);
  OM_CHECK_EQ(fcntl(50, F_GETFD) * 10 + fcntl(51, F_GETFD), FD_CLOEXEC);
  OM_SYS(fcntl(50, F_SETFD, FD_CLOEXEC));
  OM_CHECK_EQ(fcntl(50, F_GETFD), FD_CLOEXEC);
  OM_CHECK_ERRNO(fcntl(fd, F_DUPFD, 1 << 20), EINVAL);
  OM_CHECK_EQ(fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK), O_RDWR | O_APPEND);
  OM_SYS(fcntl(50, F_SETFL, O_NONBLOCK));
  OM_CHECK_EQ(fcntl(fd, F_GETFL) & (O_APPEND | O_NONBLOCK), O_NONBLOCK);
  const int same = fcntl(fd, kDupQuery, 50), differs = fcntl(fd, kDupQuery, second);
  OM_CHECK((same == 1 && differs == 0) || (same == -1 && differs == -1));
  const int created = fcntl(fd, kCreatedQuery);
  OM_CHECK(created == 1 || (created == -1 && errno == EINVAL));
  OM_CHECK_EQ(fcntl(ends[0], F_SETPIPE_SZ, 8192), 8192);
  OM_CHECK_EQ(fcntl(ends[1], F_GETPIPE_SZ), 8192);
  OM_CHECK_EQ(fcntl(seals, F_GET_SEALS) & ~kSealExec, F_SEAL_GROW);
  OM_SYS(fcntl(seals, F_ADD_SEALS, F_SEAL_SEAL));
  OM_CHECK_ERRNO(fcntl(seals, F_ADD_SEALS, F_SEAL_WRITE), EPERM);
  OM_SYS(fcntl(ends[0], F_SETOWN, getpid()));
  OM_CHECK_EQ(fcntl(ends[0], F_GETOWN), getpid());  // of the C library's making
  OM_CHECK_EQ(syscall(SYS_fcntl, ends[0], F_GETOWN), getpid());
  OM_SYS(fcntl(ends[0], F_SETSIG, SIGUSR1));
  OM_CHECK_EQ(fcntl(ends[0], F_GETSIG), SIGUSR1);
  locks(fd, other);
  hints(fd);
  OM_CHECK_EQ(fcntl(second, F_GETLEASE), F_UNLCK);
  OM_CHECK_ERRNO(fcntl(second, F_SETLEASE, F_WRLCK), EAGAIN);
  OM_CHECK_ERRNO(fcntl(fd, F_NOTIFY, DN_CREATE), ENOTDIR);
  OM_CHECK_ERRNO(fcntl(fd, 99, 0), EINVAL);
  OM_CHECK_ERRNO(fcntl(999, F_GETFD), EBADF);
  kill(other, SIGKILL);
}
