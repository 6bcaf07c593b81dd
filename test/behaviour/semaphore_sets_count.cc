// SPDX-License-Identifier: Apache-2.0
//
// System V semaphores: semop blocked across the move, a time limit that is not early, undo at exit.
#include "test/lib/om_test.h"

#include <sys/ipc.h>
#include <sys/sem.h>

static sembuf change(int by, int flags = 0) {
  return {0, static_cast<short>(by), static_cast<short>(flags)};
}

int main() {
  int set = semget(IPC_PRIVATE, 2, 0600);
  if (set < 0) om_test_skip("no System V semaphores");
  pid_t other = om_test_helper([=] {
    sembuf up = change(2);
    OM_SYS(semop(set, &up, 1));
  });
  sembuf down = change(-1);
  om_test_ready_blocking("semop|semtimedop");
  int first = semop(set, &down, 1);
  om_test_join(other);
  int second = semop(set, &down, 1);
  int64_t start = om_test_ns();
  timespec limit{0, 300000000};
  errno = 0;
  int third = semtimedop(set, &down, 1, &limit);
  int why = errno;
  int64_t passed = om_test_ns() - start;
  pid_t child = OM_SYS(fork());
  if (child == 0) {
    sembuf undone = change(5, SEM_UNDO);
    OM_SYS(semop(set, &undone, 1));
    _exit(0);
  }
  om_test_join(child);
  int value = semctl(set, 0, GETVAL);
  unsigned short values[2] = {7, 8};
  int set_all = semctl(set, 0, SETALL, values), second_value = semctl(set, 1, GETVAL);
  OM_SYS(semctl(set, 0, IPC_RMID));
  OM_CHECK_EQ(first, 0);
  OM_CHECK_EQ(second, 0);
  OM_CHECK(third == -1 && why == EAGAIN);
  OM_CHECK(passed >= 300 * kMilli);
  OM_CHECK_EQ(value, 0);
  OM_CHECK_EQ(set_all, 0);
  OM_CHECK_EQ(second_value, 8);
  OM_CHECK_ERRNO(semop(set, &down, 1), EINVAL);
}
