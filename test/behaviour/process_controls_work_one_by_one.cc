// SPDX-License-Identifier: Apache-2.0
//
// Every option of prctl(), after the move: the same result and errno as natively, and what is set is read back.
// Those that home serves come last.
#include "test/lib/om_test.h"

#include <elf.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>

static long control(const char* name, int option, unsigned long a = 0, unsigned long b = 0,
                    unsigned long c = 0, unsigned long d = 0) {
  errno = 0;
  const int result = prctl(option, a, b, c, d);
  printf("%s %d %d\n", name, result, errno);
  return result;
}
#define OM_CONTROL(option, ...) control(#option, option, ##__VA_ARGS__)

template <typename T>
static unsigned long at(T* pointer) {
  return reinterpret_cast<unsigned long>(pointer);
}

static void settings() {
  OmGuardedOut<int> value;
  OM_CONTROL(PR_SET_PDEATHSIG, SIGUSR2);
  OM_CONTROL(PR_GET_PDEATHSIG, at(&value));
  OM_CHECK_EQ(*value, SIGUSR2);
  OM_CONTROL(PR_SET_PDEATHSIG, 99);
  OM_CONTROL(PR_SET_PDEATHSIG, 0);
  OM_CONTROL(PR_GET_DUMPABLE);
  OM_CONTROL(PR_GET_KEEPCAPS);
  OM_CONTROL(PR_SET_KEEPCAPS, 1);
  OM_CONTROL(PR_GET_KEEPCAPS);
  OM_CONTROL(PR_SET_KEEPCAPS, 2);
  OM_CONTROL(PR_GET_TIMING);
  OM_CONTROL(PR_SET_TIMING, PR_TIMING_STATISTICAL);
  OM_CONTROL(PR_SET_TIMING, PR_TIMING_TIMESTAMP);
  OmGuarded name(16);
  OM_CONTROL(PR_SET_NAME, at("a name that is too long"));
  OM_CONTROL(PR_GET_NAME, at(name.data()));
  OM_CHECK_EQ(static_cast<const char*>(name.data()), "a name that is ");
  OM_CONTROL(PR_GET_SECCOMP);
  OM_CONTROL(PR_CAPBSET_READ, CAP_CHOWN);
  OM_CONTROL(PR_CAPBSET_READ, 99);
  OM_CONTROL(PR_CAPBSET_DROP, 99);
  OM_CONTROL(PR_GET_TSC, at(&value));
  OM_CHECK_EQ(*value, PR_TSC_ENABLE);
  OM_CONTROL(PR_GET_SECUREBITS);
  if (geteuid() != 0) OM_CONTROL(PR_SET_SECUREBITS, 1);
  OM_CONTROL(PR_SET_TIMERSLACK, 111111);
  OM_CONTROL(PR_GET_TIMERSLACK);
  OM_CONTROL(PR_TASK_PERF_EVENTS_DISABLE);
  OM_CONTROL(PR_TASK_PERF_EVENTS_ENABLE);
  OM_CONTROL(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY);
  OM_CONTROL(PR_MCE_KILL_GET);
  OM_CONTROL(PR_MCE_KILL, PR_MCE_KILL_CLEAR);
  OM_CONTROL(PR_MCE_KILL, 77);
  OM_CONTROL(PR_SET_CHILD_SUBREAPER, 1);
  OM_CONTROL(PR_GET_CHILD_SUBREAPER, at(&value));
  OM_CHECK_EQ(*value, 1);
  OM_CONTROL(PR_SET_NO_NEW_PRIVS, 1);
  OM_CONTROL(PR_GET_NO_NEW_PRIVS);
  OM_CONTROL(PR_SET_NO_NEW_PRIVS, 0);
  OM_CONTROL(PR_GET_THP_DISABLE);
  OM_CONTROL(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN);
  OM_CONTROL(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL);
  OM_CONTROL(PR_CAP_AMBIENT, 77, CAP_CHOWN);
  OM_CONTROL(PR_GET_SPECULATION_CTRL, PR_SPEC_STORE_BYPASS);
  OM_CONTROL(PR_GET_SPECULATION_CTRL, 77);
  OM_CONTROL(PR_GET_IO_FLUSHER);
  if (geteuid() != 0) OM_CONTROL(PR_SET_IO_FLUSHER, 1);
  control("PR_GET_MDWE", 66);
  control("PR_GET_MEMORY_MERGE", 68);
  control("PR_TIMER_CREATE_RESTORE_IDS", 77, 2);
  OM_CONTROL(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
  OmGuardedOut<uint64_t> address;
  if (prctl(PR_GET_TID_ADDRESS, &address, 0, 0, 0) == 0) {
    OM_CHECK_EQ(*reinterpret_cast<pid_t*>(*address), gettid());
  }
}

static void auxiliary() {
  constexpr int kGetAuxv = 0x41555856;  // PR_GET_AUXV
  OmGuarded vector(64);
  const long all = prctl(kGetAuxv, vector.data(), 64, 0, 0);
  if (all == -1) {
    OM_CHECK_EQ(errno, EINVAL);
    return;
  }
  OM_CHECK(all > 64);
  auto* entry = vector.as<Elf64_auxv_t>();
  for (int i = 0; i < 4; ++i) {
    if (entry[i].a_type == AT_SYSINFO_EHDR)
      OM_CHECK_EQ(entry[i].a_un.a_val, getauxval(AT_SYSINFO_EHDR));
    if (entry[i].a_type == AT_PAGESZ) OM_CHECK_EQ(entry[i].a_un.a_val, 4096);
  }
}

static void served_at_home(void* memory) {
  OM_CONTROL(PR_SET_TSC, PR_TSC_ENABLE);
  OM_CONTROL(PR_SET_MM, PR_SET_MM_START_CODE, 1);
  OM_CONTROL(PR_SET_THP_DISABLE, 1);
  OM_CONTROL(PR_GET_THP_DISABLE);
  OM_CONTROL(PR_SET_SPECULATION_CTRL, 77, 0);
  constexpr int kSyscallUserDispatch = 59, kSchedCore = 62, kSetMdwe = 65, kSetMemoryMerge = 67;
  control("PR_SET_SYSCALL_USER_DISPATCH", kSyscallUserDispatch, 0);
  control("PR_SET_SYSCALL_USER_DISPATCH", kSyscallUserDispatch, 9);
  OM_CHECK(control("PR_SCHED_CORE", kSchedCore, 77) == -1);
  control("PR_SET_MDWE", kSetMdwe, 1);
  control("PR_GET_MDWE", 66);
  errno = 0;
  printf("executable %d\n", mprotect(memory, 4096, PROT_READ | PROT_EXEC) == 0 ? 0 : errno);
  control("PR_SET_MEMORY_MERGE", kSetMemoryMerge, 0);
  control("PR_FUTEX_HASH", 78, 77);
  control("PR_RSEQ_SLICE_EXTENSION", 79, 77);
  OM_CONTROL(PR_SET_SECCOMP, 77);
  OM_CONTROL(PR_SET_DUMPABLE, 0);
  OM_CONTROL(PR_GET_DUMPABLE);
  OM_CONTROL(PR_SET_DUMPABLE, 2);
  control("none", 123456);
}

int main() {
  void* memory =
      OM_SYS(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  om_test_ready();
  om_test_wait_moved();
  settings();
  auxiliary();
  served_at_home(memory);
}
