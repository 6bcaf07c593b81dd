// SPDX-License-Identifier: Apache-2.0
//
// The body's filter, call by call: every number, those of x32 and negative ones, from the gate's pages and from
// elsewhere, and each argument that it looks at. What is allowed is written here once more, on purpose: who opens
// the sandbox has to say so twice. A call is allowed if it ends in the same way without the filter.
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <initializer_list>
#include <iterator>

#include "libom/restore/filter.h"

namespace {

enum class Verdict { kAllowed, kTrapped, kKilled, kOtherwise };
using Function = long (*)(long, long, long, long, long, long);

constexpr int kTrapStatus = 42, kAllowedStatus = 43;

// mov %rdi,%rax; mov %rsi,%rdi; mov %rdx,%rsi; mov %rcx,%rdx; mov %r8,%r10; xor %r8d,%r8d; xor %r9d,%r9d;
// syscall; ret
constexpr unsigned char kCode[] = {0x48, 0x89, 0xf8, 0x48, 0x89, 0xf7, 0x48, 0x89,
                                   0xd6, 0x48, 0x89, 0xca, 0x4d, 0x89, 0xc2, 0x45,
                                   0x31, 0xc0, 0x45, 0x31, 0xc9, 0x0f, 0x05, 0xc3};
// push %rbx; mov %edi,%eax; xor %ebx,%ebx; int $0x80; pop %rbx; ret
constexpr unsigned char kOldCode[] = {0x53, 0x89, 0xf8, 0x31, 0xdb, 0xcd, 0x80, 0x5b, 0xc3};

char* g_gate;  // one page that counts as the gate
Function g_inside, g_outside, g_old;

[[noreturn]] void leave(int status) {
  for (;;) g_inside(SYS_exit_group, status, 0, 0, 0, 0);
}

void on_trap(int) { leave(kTrapStatus); }

void confine() {
  om::restore::BpfInstruction code[om::restore::kMaxFilter];
  const auto lo = reinterpret_cast<uint64_t>(g_gate);
  const uint32_t n = om::restore::build_filter(lo, lo + 4096, code);
  if (n == 0) _exit(1);
  signal(SIGSYS, on_trap);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  sock_fprog program{static_cast<unsigned short>(n), reinterpret_cast<sock_filter*>(code)};
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) _exit(2);
}

// How a process ends that makes the call, with the filter or without, and exits after it.
int wait_status(bool confined, Function how, long nr, long a, long b, long c, long d) {
  const pid_t child = fork();
  if (child == 0) {
    if (confined) confine();
    how(nr, a, b, c, d, 0);
    leave(kAllowedStatus);
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child) {
    perror("filter_test: a child");
    exit(99);
  }
  return status;
}

Verdict judge(Function how, long nr, long a = 0, long b = 0, long c = 0, long d = 0) {
  const int status = wait_status(true, how, nr, a, b, c, d);
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) return Verdict::kKilled;
  if (WIFEXITED(status) && WEXITSTATUS(status) == kTrapStatus) return Verdict::kTrapped;
  if (WIFEXITED(status) && (WEXITSTATUS(status) == 1 || WEXITSTATUS(status) == 2)) {
    fprintf(stderr, "the filter cannot be installed\n");
    exit(99);
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == kAllowedStatus) return Verdict::kAllowed;
  // What ends the process or breaks its stack does so without the filter, too.
  return status == wait_status(false, how, nr, a, b, c, d) ? Verdict::kAllowed
                                                           : Verdict::kOtherwise;
}

int g_failures;

void expect(Verdict want, Verdict got, const char* what, long nr) {
  if (want == got) return;
  const char* const names[] = {"allowed", "trapped", "killed", "ended otherwise"};
  fprintf(stderr, "%s %ld: %s, not %s\n", what, nr, names[static_cast<int>(got)],
          names[static_cast<int>(want)]);
  g_failures++;
}

// With arguments of zero.
constexpr long kAllowed[] = {SYS_write,           SYS_read,         SYS_futex,
                             SYS_rt_sigreturn,    SYS_munmap,       SYS_mprotect,
                             SYS_madvise,         SYS_mremap,       SYS_clock_gettime,
                             SYS_nanosleep,       SYS_sched_yield,  SYS_getrandom,
                             SYS_getcpu,          SYS_clock_getres, SYS_mincore,
                             SYS_msync,           SYS_getrusage,    SYS_rt_sigprocmask,
                             SYS_rt_sigaction,    SYS_sigaltstack,  SYS_gettid,
                             SYS_set_tid_address, SYS_rseq,         SYS_exit,
                             SYS_exit_group,      SYS_close};

bool is_allowed(long nr) {
  return std::find(std::begin(kAllowed), std::end(kAllowed), nr) != std::end(kAllowed);
}

void numbers() {
  for (long nr = 0; nr < 700; nr++) {
    // uretprobe and uprobe: the kernel asks no filter, and raises SIGILL but for its own trampolines.
    if (nr == 335 || nr == 336) continue;
    expect(is_allowed(nr) ? Verdict::kAllowed : Verdict::kKilled, judge(g_inside, nr), "inside",
           nr);
    if (nr % 3 == 0 || is_allowed(nr))
      expect(Verdict::kTrapped, judge(g_outside, nr), "outside", nr);
  }
  for (long nr :
       {-1l, -2l, 0x40000000l, 0x40000001l, 0x40000003l, 0x400000e7l, 0x7fffffffl, 0xffffffffl}) {
    expect(Verdict::kKilled, judge(g_inside, nr), "inside", nr);
    expect(Verdict::kTrapped, judge(g_outside, nr), "outside", nr);
  }
}

// Through the gate for programs of 32 bits, which a kernel may not have.
void old_numbers() {
  const long getpid_32 = 20;
  const int status = wait_status(false, g_old, getpid_32, 0, 0, 0, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != kAllowedStatus) {
    printf("int 0x80 is SKIPPED: natively it ends a process here (wait status %#x)\n", status);
    return;
  }
  for (long nr : {1l, 3l, 4l, 6l, 11l, 20l, 90l, 120l, 252l})
    expect(Verdict::kKilled, judge(g_old, nr), "int 0x80", nr);
}

void arguments() {
  const long anonymous = MAP_PRIVATE | MAP_ANONYMOUS;
  for (long flags : {anonymous, anonymous | MAP_FIXED, anonymous | MAP_NORESERVE | MAP_STACK,
                     anonymous | MAP_FIXED_NOREPLACE, anonymous | MAP_POPULATE | MAP_32BIT})
    expect(Verdict::kAllowed, judge(g_inside, SYS_mmap, 0x10000000, 4096, 0, flags), "mmap", flags);
  for (long flags :
       {long{MAP_PRIVATE}, long{MAP_SHARED}, long{MAP_SHARED_VALIDATE},
        long{MAP_PRIVATE | MAP_FIXED}, long{MAP_ANONYMOUS}, anonymous << 32, anonymous | 1l << 32,
        long{MAP_SHARED | MAP_ANONYMOUS}, anonymous | MAP_HUGETLB,
        anonymous | MAP_HUGETLB | 21l << MAP_HUGE_SHIFT, anonymous | MAP_LOCKED,
        anonymous | MAP_GROWSDOWN, anonymous | MAP_SYNC, anonymous | 8, anonymous | 1l << 30})
    expect(Verdict::kKilled, judge(g_inside, SYS_mmap, 0x10000000, 4096, 0, flags), "mmap", flags);
  const long thread =
      CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
  for (long flags : {long{SIGCHLD}, long{CLONE_VM | CLONE_VFORK | SIGCHLD}, thread | CLONE_NEWUSER,
                     thread | CLONE_NEWNS, thread | CLONE_PARENT, thread | CLONE_UNTRACED,
                     thread & ~CLONE_THREAD, thread | (1l << 32), thread | (1l << 63)})
    expect(Verdict::kKilled, judge(g_inside, SYS_clone, flags), "clone", flags);
  expect(Verdict::kAllowed, judge(g_inside, SYS_recvmsg, 3), "recvmsg", 3);
  for (long fd : {0l, 2l, 4l, -1l, 3l | 1l << 32})
    expect(Verdict::kKilled, judge(g_inside, SYS_recvmsg, fd), "recvmsg", fd);
  for (long fd : {3l, 3l | 1l << 32})
    expect(Verdict::kKilled, judge(g_inside, SYS_close, fd), "close", fd);
  for (long fd : {4l, 1000l})
    expect(Verdict::kAllowed, judge(g_inside, SYS_close, fd), "close", fd);
  for (long op : {0x1001l, 0x1003l})  // ARCH_SET_GS, ARCH_GET_FS
    expect(Verdict::kAllowed, judge(g_inside, SYS_arch_prctl, op, 0), "arch_prctl", op);
  for (long op : {0x1004l, 0x1011l, 0x1012l, 0x1023l, 0x2001l, 0x4001l, 0x1001l | 1l << 32})
    expect(Verdict::kKilled, judge(g_inside, SYS_arch_prctl, op, 0), "arch_prctl", op);
}

// All that the kernel knows by name and more, but what libom needs.
void commands() {
  const auto in = [](long value, std::initializer_list<long> list) {
    return std::find(list.begin(), list.end(), value) != list.end();
  };
  const auto word = reinterpret_cast<long>(&g_failures);
  for (long op = 0; op < 20; op++) {
    // A wait for another value than is there ends at once.
    const bool may = in(op, {0, 1, 3, 4, 5, 9, 10});
    for (long flags : {0l, 128l, 256l, 384l})
      expect(may ? Verdict::kAllowed : Verdict::kKilled,
             judge(g_inside, SYS_futex, word, op | flags, -1, 0), "futex", op | flags);
  }
  for (long op : {512l, 0x1000l, 0x80000000l, 0xffffffffl})
    expect(Verdict::kKilled, judge(g_inside, SYS_futex, word, op, -1, 0), "futex", op);
  for (long advice = 0; advice < 110; advice++) {
    const bool may = (advice <= 25 && !in(advice, {5, 6, 7, 9, 12})) || advice == 102;
    expect(may ? Verdict::kAllowed : Verdict::kKilled,
           judge(g_inside, SYS_madvise, 0x10000000, 4096, advice), "madvise", advice);
  }
  expect(Verdict::kKilled, judge(g_inside, SYS_madvise, 0x10000000, 4096, 0xffffffffl), "madvise",
         -1);
  for (long command = 0; command < 1025; command++) {
    if ((command & (command - 1)) != 0 && command % 7 != 0) continue;
    const bool may = in(command, {8, 16, 32, 64, 128, 256});
    expect(may ? Verdict::kAllowed : Verdict::kKilled, judge(g_inside, SYS_membarrier, command),
           "membarrier", command);
  }
}

}  // namespace

int main() {
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  auto* pages = static_cast<char*>(mmap(nullptr, 3 * 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  if (pages == MAP_FAILED) return 99;
  memcpy(pages, kCode, sizeof kCode);
  g_gate = pages + 4096;
  // The last instruction of the gate ends where it ends: the address behind it counts.
  memcpy(g_gate + 4096 - sizeof kCode, kCode, sizeof kCode);
  memcpy(g_gate, kOldCode, sizeof kOldCode);
  memcpy(pages + 8192, kCode, sizeof kCode);
  g_outside = reinterpret_cast<Function>(pages);
  g_inside = reinterpret_cast<Function>(g_gate + 4096 - sizeof kCode);
  g_old = reinterpret_cast<Function>(g_gate);
  numbers();
  old_numbers();
  arguments();
  commands();
  g_outside = reinterpret_cast<Function>(pages + 8192);
  expect(Verdict::kTrapped, judge(g_outside, SYS_write), "behind the gate", SYS_write);
  printf("%d findings\n", g_failures);
  return g_failures == 0 ? 0 : 1;
}
