// SPDX-License-Identifier: Apache-2.0
//
// semop(), by the system call itself, is blocked across the move and ends because another process changes the value,
// because a value becomes zero, by a handler, and because the set is removed; who waits is counted meanwhile. What
// SEM_UNDO has noted before the move is undone at the end of the process.
// om-points: 4
#include "test/lib/om_test.h"

#include <signal.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static int g_set;

static long operate(unsigned short number, int by, int flags = 0) {
  OmGuardedOut<sembuf> operation;
  *operation = {number, static_cast<short>(by), static_cast<short>(flags)};
  return syscall(SYS_semop, g_set, &operation, 1);
}

static void await_waiter(int command) {
  while (semctl(g_set, 0, command) != 1) usleep(1000);
}

static void facts() {
  OmGuarded values(6);
  OM_SYS(semctl(g_set, 0, GETALL, values.data()));
  OM_CHECK_EQ(values.as<unsigned short>()[2], 9);
  const unsigned short next[3] = {0, 4, 9};
  OM_SYS(semctl(g_set, 0, SETALL, next));
  OM_SYS(semctl(g_set, 1, SETVAL, 5));
  OM_CHECK_EQ(semctl(g_set, 1, GETVAL), 5);
  OM_CHECK_EQ(semctl(g_set, 1, GETPID), getpid());
  OM_CHECK_EQ(semctl(g_set, 1, GETNCNT), 0);
  OM_CHECK_EQ(semctl(g_set, 1, GETZCNT), 0);
  OmGuardedOut<semid_ds> info;
  OM_SYS(semctl(g_set, 0, IPC_STAT, &info));
  OM_CHECK_EQ(info->sem_nsems, 3);
  info->sem_perm.mode = 0640;
  OM_SYS(semctl(g_set, 0, IPC_SET, &info));
  OM_SYS(semctl(g_set, 0, IPC_STAT, &info));
  OM_CHECK_EQ(info->sem_perm.mode & 0777, 0640);
  OmGuardedOut<seminfo> limits;
  const int last = OM_SYS(semctl(0, 0, IPC_INFO, &limits));
  OM_CHECK(limits->semmsl >= 3);
  OM_CHECK(OM_SYS(semctl(0, 0, SEM_INFO, &limits)) >= 0 && limits->semusz >= 1);
  bool found = false;
  for (int i = 0; i <= last && !found; ++i) found = semctl(i, 0, SEM_STAT, &info) == g_set;
  OM_CHECK(found);
  for (int i = 0; i <= last; ++i) {
    constexpr int kSemStatAny = 20;
    if (semctl(i, 0, kSemStatAny, &info) == g_set) OM_CHECK_EQ(info->sem_nsems, 3);
  }
  // Several at once, all or none.
  sembuf two[2] = {{1, -5, 0}, {2, 0, IPC_NOWAIT}};
  OM_CHECK_ERRNO(syscall(SYS_semop, g_set, two, 2), EAGAIN);
  OM_CHECK_EQ(semctl(g_set, 1, GETVAL), 5);
  OM_CHECK_ERRNO(operate(3, 1), EFBIG);
  OM_CHECK_ERRNO(operate(1, 32767), ERANGE);
}

static int rounds(pid_t parent) {
  const pid_t up = om_test_helper(
                  [] {
                    await_waiter(GETNCNT);
                    OM_SYS(operate(0, 3));
                  },
                  1),
              zero = om_test_helper(
                  [] {
                    await_waiter(GETZCNT);
                    OM_SYS(operate(0, -2));
                  },
                  2),
              signal = om_test_helper(
                  [=] {
                    await_waiter(GETNCNT);
                    OM_SYS(kill(parent, SIGUSR1));
                  },
                  3),
              removal = om_test_helper(
                  [] {
                    await_waiter(GETNCNT);
                    OM_SYS(semctl(g_set, 0, IPC_RMID));
                  },
                  4);
  om_test_ready_blocking("semop");
  OM_CHECK_EQ(operate(0, -1), 0);
  om_test_wait_moved();
  om_test_join(up);
  OM_CHECK_EQ(semctl(g_set, 0, GETPID), getpid());
  om_test_ready_blocking("semop");
  OM_CHECK_EQ(operate(0, 0), 0);
  om_test_wait_moved();
  om_test_join(zero);
  facts();
  om_test_ready_blocking("semop");
  OM_CHECK_ERRNO(operate(0, -1), EINTR);  // SA_RESTART or not
  om_test_wait_moved();
  om_test_join(signal);
  om_test_ready_blocking("semop");
  OM_CHECK_ERRNO(operate(0, -1), EIDRM);
  om_test_wait_moved();
  om_test_join(removal);
  return 0;
}

int main() {
  g_set = semget(IPC_PRIVATE, 3, 0600);
  if (g_set < 0) om_test_skip("no System V semaphores");
  const unsigned short values[3] = {0, 4, 9};
  OM_SYS(semctl(g_set, 0, SETALL, values));
  const int undone = OM_SYS(semget(IPC_PRIVATE, 1, 0600));
  const pid_t child = OM_SYS(fork());
  if (child == 0) {
    sembuf operation{0, 6, SEM_UNDO};
    OM_SYS(semop(undone, &operation, 1));
    struct sigaction action {};
    action.sa_handler = [](int) {};
    action.sa_flags = SA_RESTART;
    OM_SYS(sigaction(SIGUSR1, &action, nullptr));
    return rounds(getpid());  // it is the child that moves
  }
  int status = 0;
  OM_CHECK_EQ(waitpid(child, &status, 0), child);
  semctl(g_set, 0, IPC_RMID);
  const int left = semctl(undone, 0, GETVAL);
  OM_SYS(semctl(undone, 0, IPC_RMID));
  OM_CHECK_EQ(status, 0);
  OM_CHECK_EQ(left, 0);
}
