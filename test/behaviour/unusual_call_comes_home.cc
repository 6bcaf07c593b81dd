// SPDX-License-Identifier: Apache-2.0
//
// Calls that the place away does not serve bring the process home and work there; before each one
// the process is moved again.
// om-points: each
// om-limit: 120
#include "test/lib/om_test.h"

#include <linux/capability.h>
#include <linux/kcmp.h>
#include <linux/mempolicy.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/personality.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

static void move() {
  om_test_ready();
  om_test_wait_moved();
}

// Without a result that is the same everywhere; only what any kernel must say.
static void check_memory_calls() {
  char from[32] = "read by its own number", to[32] = {};
  iovec local{to, 23}, remote{from, 23};
  move();
  const ssize_t got = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
  if (got != -1 || errno != ENOSYS) {
    OM_CHECK_EQ(got, 23);
    OM_CHECK_EQ(static_cast<const char*>(to), static_cast<const char*>(from));
    move();
    OM_CHECK_EQ(process_vm_writev(getpid(), &remote, 1, &local, 1, 0), 23);
  }
  move();
  const int segment = shmget(IPC_PRIVATE, 5000, 0600);
  if (segment != -1 || errno != ENOSYS) {
    void* shared = shmat(segment, nullptr, 0);
    OM_SYS(shmctl(segment, IPC_RMID, nullptr));
    OM_CHECK(reinterpret_cast<intptr_t>(shared) != -1);
    static_cast<char*>(shared)[4999] = 1;
    OM_SYS(shmdt(shared));
  }
  move();
  int mode = -1;
  if (syscall(SYS_get_mempolicy, &mode, nullptr, 0, nullptr, 0) == 0)
    OM_CHECK_EQ(mode, MPOL_DEFAULT);
}

static void check_process_calls() {
  const int before = personality(0xffffffff);  // setarch may have changed it
  move();
  OM_CHECK_EQ(personality(0xffffffff), before);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  move();
  OM_SYS(syscall(SYS_capget, &header, data));
  if (geteuid() != 0) OM_CHECK_EQ(data[0].effective, 0);
  move();
  long order = syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, 1, 1);
  OM_CHECK(order == 0 || errno == ENOSYS);
  move();
  OM_SYS(setresuid(static_cast<uid_t>(-1), geteuid(), static_cast<uid_t>(-1)));
  OM_SYS(setgid(getgid()));
  move();
  pid_t child = static_cast<pid_t>(OM_SYS(syscall(SYS_fork)));
  if (child == 0) _exit(0);
  om_test_join(child);
  move();
  struct {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
  } attributes{};
  OM_SYS(syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0));
  OM_SYS(syscall(SYS_sched_setattr, 0, &attributes, 0));
}

int main() {
  check_memory_calls();
  check_process_calls();
  move();
  OM_CHECK_EQ(access("/", F_OK), 0);
}
