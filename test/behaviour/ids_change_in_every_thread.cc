// SPDX-License-Identifier: Apache-2.0
//
// Changing user and group ids after the move reaches every thread, as the C library sees to by a signal of its own:
// threads that are blocked in a call go on waiting, and all of them see the ids. A program that may not change to
// others sets the ones it has.
#include "test/lib/om_test.h"

#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>

#include <atomic>

static int g_ends[2];
static sem_t g_semaphore;
static std::atomic<bool> g_end{false};
static std::atomic<int> g_right{0};
static uid_t g_user;
static gid_t g_group;

static void check_ids() {
  uid_t users[3];
  gid_t groups[3];
  OM_SYS(getresuid(&users[0], &users[1], &users[2]));
  OM_SYS(getresgid(&groups[0], &groups[1], &groups[2]));
  OM_CHECK_EQ(users[1], g_user);
  OM_CHECK_EQ(groups[1], g_group);
  // By the kernel's own word for this thread.
  char path[64], line[256];
  snprintf(path, sizeof path, "/proc/self/task/%d/status", gettid());
  FILE* status = fopen(path, "r");
  OM_CHECK(status != nullptr);
  unsigned real = 0, effective = ~0u;
  while (fgets(line, sizeof line, status) != nullptr) {
    if (strncmp(line, "Uid:", 4) == 0) sscanf(line, "Uid: %u %u", &real, &effective);
  }
  fclose(status);
  OM_CHECK_EQ(effective, g_user);
  ++g_right;
}

int main() {
  OM_SYS(pipe(g_ends));
  OM_SYS(sem_init(&g_semaphore, 0, 0));
  const bool root = geteuid() == 0;
  g_user = root ? 65534 : geteuid();
  g_group = root ? 65534 : getegid();
  OmThread reader([] {
    char byte;
    OM_CHECK_EQ(read(g_ends[0], &byte, 1), 1);
    check_ids();
  });
  OmThread waiter([] {
    while (sem_wait(&g_semaphore) != 0) OM_CHECK_EQ(errno, EINTR);
    check_ids();
  });
  OmThread computer([] {
    while (!g_end) continue;
    check_ids();
  });
  om_test_ready();
  om_test_wait_moved();
  OM_SYS(setresgid(static_cast<gid_t>(-1), g_group, static_cast<gid_t>(-1)));
  OM_SYS(setresuid(static_cast<uid_t>(-1), g_user, static_cast<uid_t>(-1)));
  check_ids();
  OM_SYS(setegid(g_group));
  OM_SYS(seteuid(g_user));
  OM_SYS(setregid(static_cast<gid_t>(-1), g_group));
  OM_SYS(setreuid(static_cast<uid_t>(-1), g_user));
  OM_CHECK_EQ(static_cast<uid_t>(setfsuid(g_user)), g_user);
  OM_CHECK_EQ(static_cast<gid_t>(setfsgid(g_group)), g_group);
  if (!root) {
    OM_SYS(setgid(g_group));
    OM_SYS(setuid(g_user));
    OM_CHECK_ERRNO(setuid(0), EPERM);
    OM_CHECK_ERRNO(setresgid(0, 0, 0), EPERM);
  }
  g_end = true;
  OM_SYS(sem_post(&g_semaphore));
  OM_CHECK_EQ(write(g_ends[1], "x", 1), 1);
  for (OmThread* thread : {&reader, &waiter, &computer}) thread->join();
  OM_CHECK_EQ(g_right.load(), 4);
}
