// SPDX-License-Identifier: Apache-2.0
#include "cli/doctor_probes.h"

#include <asm/prctl.h>
#include <elf.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

namespace om::cli {
namespace {

// Runs `probe` in a child, which may die of it. Returns the result, 0 or an errno.
int in_child(int (*probe)(int), int argument) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::_exit(probe(argument));
  }
  int status = 0;
  if (pid < 0 || ::waitpid(pid, &status, 0) != pid) return errno;
  return WIFEXITED(status) ? WEXITSTATUS(status) : EOPNOTSUPP;
}

int save_registers(int) {
  // Larger than any vector state without AMX, which is not requested.
  alignas(64) static std::array<unsigned char, 16384> s_area;
  const uint32_t x87_sse_avx = 7;
  asm volatile("xsave (%0)" ::"r"(s_area.data()), "a"(x87_sse_avx), "d"(0) : "memory");
  static uint64_t s_word = 0x0123456789abcdef;
  if (::syscall(SYS_arch_prctl, ARCH_SET_GS, &s_word) != 0) return errno;
  uint64_t seen = 0;
  asm volatile("mov %%gs:0, %0" : "=r"(seen));
  return seen == s_word ? 0 : EOPNOTSUPP;
}

int be_trapped(int) {
  std::array<sock_filter, 4> code{{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
                                   BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
                                   BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
                                   BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)}};
  const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
  ::signal(SIGSYS, [](int) { ::_exit(0); });
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno;
  if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) return errno;
  ::syscall(SYS_getppid);
  return EOPNOTSUPP;  // the call was not trapped
}

int trace(int victim) {
  if (::ptrace(PTRACE_SEIZE, victim, nullptr, nullptr) != 0) return errno;
  int status = 0;
  if (::ptrace(PTRACE_INTERRUPT, victim, nullptr, nullptr) != 0) return errno;
  if (::waitpid(victim, &status, __WALL) != victim) return errno;
  std::array<char, 65536> area;
  iovec where{area.data(), area.size()};
  const auto kind = reinterpret_cast<void*>(static_cast<uintptr_t>(NT_X86_XSTATE));
  return ::ptrace(PTRACE_GETREGSET, victim, kind, &where) == 0 ? 0 : errno;
}

}  // namespace

int probe_registers() { return in_child(save_registers, 0); }

int probe_filter() { return in_child(be_trapped, 0); }

int probe_tracing() {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) return errno;
  const pid_t victim = ::fork();
  if (victim == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);  // as libom does; fails without Yama
    ::close(ends[0]);
    ::close(ends[1]);  // ready to be traced
    for (;;) ::pause();
  }
  int result = errno;
  ::close(ends[1]);
  if (victim > 0) {
    char byte = 0;
    while (::read(ends[0], &byte, 1) < 0 && errno == EINTR) {
    }
    result = in_child(trace, victim);
    ::kill(victim, SIGKILL);
    ::waitpid(victim, nullptr, 0);
  }
  ::close(ends[0]);
  return result;
}

int probe_unshare(int flags) {
  return in_child([](int wanted) { return ::unshare(wanted) == 0 ? 0 : errno; }, flags);
}

}  // namespace om::cli
