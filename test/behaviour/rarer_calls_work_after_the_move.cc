// SPDX-License-Identifier: Apache-2.0
//
// capget and capset, sched_setattr, kcmp, syslog, mq_notify by a signal, rule sets of landlock, names of memory,
// timer slack, robust lists: what is set is read back, and errors are those of the kernel.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/kcmp.h>
#include <mqueue.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/timex.h>

static volatile sig_atomic_t g_notified;

static void capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  OmGuarded three(24), one(12);
  auto* data = three.as<__user_cap_data_struct>();
  memset(data, 0xff, 24);
  OM_CHECK_EQ(syscall(SYS_capget, &header, data), 0);
  if (geteuid() != 0) OM_CHECK(data[0].effective == 0 && data[1].permitted == 0);
  OM_CHECK_EQ(syscall(SYS_capset, &header, data), 0);
  data[0].inheritable = data[0].permitted = 1u << CAP_SYS_BOOT;
  if (geteuid() != 0) OM_CHECK_ERRNO(syscall(SYS_capset, &header, data), EPERM);
  header.version = 1;
  OM_CHECK_ERRNO(syscall(SYS_capget, &header, data), EINVAL);
  OM_CHECK_EQ(header.version, _LINUX_CAPABILITY_VERSION_3);
}

static void comparison() {
  int fd = OM_SYS(open("/dev/null", O_RDONLY)), other = OM_SYS(dup(fd)),
      third = OM_SYS(open("/dev/null", O_RDONLY));
  if (syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, fd, other) == -1 &&
      (errno == ENOSYS || errno == EPERM))
    return;
  OM_CHECK_EQ(syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, fd, other), 0);
  OM_CHECK(syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, fd, third) > 0);
  OM_CHECK_ERRNO(syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, fd, 777), EBADF);
  OM_CHECK_EQ(syscall(SYS_kcmp, getpid(), getpid(), KCMP_VM, 0, 0), 0);
}

static void schedule() {
  struct Attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
  };
  OmGuardedOut<Attributes> now;
  OM_CHECK_EQ(syscall(SYS_sched_getattr, 0, &now, sizeof(Attributes), 0), 0);
  if (now->policy != SCHED_OTHER || now->nice > 17) return;  // it cannot be made nicer
  now->nice += 2;
  now->size = sizeof(Attributes);
  OM_CHECK_EQ(syscall(SYS_sched_setattr, 0, &now, 0), 0);
  const int32_t nice = now->nice;
  memset(&now, 0, sizeof(Attributes));
  OM_CHECK_EQ(syscall(SYS_sched_getattr, 0, &now, sizeof(Attributes), 0), 0);
  OM_CHECK_EQ(now->nice, nice);
  OM_CHECK_ERRNO(syscall(SYS_sched_setattr, 0, nullptr, 0), EINVAL);
}

static void notification() {
  char name[32];
  snprintf(name, sizeof name, "/om-rarer-%d", getpid());
  mq_attr limits{};
  limits.mq_maxmsg = 2;
  limits.mq_msgsize = 8;
  mqd_t queue = mq_open(name, O_RDWR | O_CREAT | O_NONBLOCK, 0600, &limits);
  if (queue < 0) return;  // none in this system
  mq_unlink(name);
  struct sigaction act {};
  act.sa_handler = [](int) { g_notified = 1; };
  OM_SYS(sigaction(SIGUSR1, &act, nullptr));
  sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGUSR1;
  OM_CHECK_EQ(mq_notify(queue, &event), 0);
  OM_CHECK_ERRNO(mq_notify(queue, &event), EBUSY);
  OM_CHECK_EQ(mq_send(queue, "text", 4, 1), 0);
  while (!g_notified) usleep(1000);
  OM_CHECK_EQ(mq_notify(queue, &event), 0);
  OM_CHECK_EQ(mq_notify(queue, nullptr), 0);
  mq_close(queue);
}

static void rules() {
  constexpr long kCreate = 444, kAdd = 445;
  const long version = syscall(kCreate, nullptr, 0, 1);
  if (version < 0) return;
  uint64_t handled = 1;  // executing
  int set = static_cast<int>(OM_SYS(syscall(kCreate, &handled, sizeof handled, 0)));
  struct [[gnu::packed]] Beneath {
    uint64_t allowed;
    int32_t parent;
  };
  OmGuardedOut<Beneath> rule;
  rule->allowed = 1;
  rule->parent = OM_SYS(open("/", O_PATH | O_DIRECTORY));
  OM_CHECK_EQ(syscall(kAdd, set, 1, &rule, 0), 0);
  rule->allowed = 2;
  OM_CHECK_ERRNO(syscall(kAdd, set, 1, &rule, 0), EINVAL);
  close(rule->parent);
  close(set);
}

static void names() {
  void* map =
      OM_SYS(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  if (prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, map, 4096, "named memory") != 0) {
    OM_CHECK_EQ(errno, EINVAL);  // a kernel without
    return;
  }
  OM_CHECK_ERRNO(prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, map, 4096, "bad [name]"), EINVAL);
  FILE* maps = fopen("/proc/self/maps", "r");
  char line[512];
  bool found = false;
  while (fgets(line, sizeof line, maps) != nullptr)
    found = found || strstr(line, "[anon:named memory]") != nullptr;
  fclose(maps);
  OM_CHECK(found);
}

static void old_forms() {
  OmGuardedOut<uint64_t> head;
  OmGuardedOut<uint64_t> bytes;
  OM_SYS(syscall(SYS_get_robust_list, 0, &head, &bytes));
  OM_CHECK(*head != 0);
  OM_CHECK_EQ(*bytes, 24);
  OM_CHECK_ERRNO(syscall(SYS_get_robust_list, 0x7ffffff, &head, &bytes), ESRCH);
  OmGuardedOut<timex> adjust;
  OM_CHECK(OM_SYS(syscall(SYS_adjtimex, &adjust)) >= 0);
  OM_CHECK(adjust->tick > 5000);
}

int main() {
  om_test_ready();
  om_test_wait_moved();
  capabilities();
  comparison();
  schedule();
  notification();
  rules();
  names();
  old_forms();
  OM_SYS(prctl(PR_SET_TIMERSLACK, 123456, 0, 0, 0));
  OM_CHECK_EQ(prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0), 123456);
  const long size = syscall(SYS_syslog, 10, nullptr, 0);
  const int missing = size > 0 ? 0 : errno;
  OM_CHECK(missing == 0 || missing == EPERM || missing == ENOSYS);
  OmGuarded log(300);
  const long read = syscall(SYS_syslog, 3, log.data(), 300);
  const int refused = read >= 0 ? EINVAL : errno;
  OM_CHECK(read >= 0 || refused == EPERM || refused == missing);
  OM_CHECK_ERRNO(syscall(SYS_syslog, 3, log.data(), -1), refused);
}
