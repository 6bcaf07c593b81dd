// SPDX-License-Identifier: Apache-2.0
//
// A POSIX semaphore and a piece of POSIX shared memory whose names have gone, mapped by this process alone, do not keep
// it at home, and are shared with a child that comes later.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <semaphore.h>
#include <sys/mman.h>

#include <string>

int main() {
  const std::string name = "/om-nameless-" + std::to_string(getpid());
  sem_t* sem = sem_open(name.c_str(), O_CREAT | O_EXCL, 0600, 1);
  if (sem == SEM_FAILED) om_test_skip("no POSIX semaphores here");
  OM_SYS(sem_unlink(name.c_str()));
  int fd = OM_SYS(shm_open(name.c_str(), O_CREAT | O_EXCL | O_RDWR, 0600));
  OM_SYS(shm_unlink(name.c_str()));
  OM_SYS(ftruncate(fd, 3 * 4096));
  auto* words = static_cast<volatile int*>(
      OM_SYS(mmap(nullptr, 3 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)));
  OM_SYS(close(fd));
  words[2000] = 7;
  om_test_ready();
  om_test_wait_moved();
  int value = -1;
  OM_SYS(sem_getvalue(sem, &value));
  OM_CHECK_EQ(value, 1);
  OM_CHECK_EQ(words[2000], 7);
  words[0] = 8;
  OM_SYS(sem_wait(sem));
  pid_t child = OM_SYS(fork());
  if (child == 0) {
    words[1] = words[0] + 1;
    _exit(sem_post(sem) != 0);
  }
  OM_SYS(sem_wait(sem));
  om_test_join(child);
  OM_CHECK_EQ(words[1], 9);
}
