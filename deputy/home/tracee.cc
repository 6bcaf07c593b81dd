// SPDX-License-Identifier: Apache-2.0
#include "deputy/home/tracee.h"

#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include <thread>

#include "common/base/log.h"
#include "common/proc/stat.h"

namespace om::deputy {
namespace {

constexpr size_t kMaxXstate = 64 << 10;
constexpr auto kLongNap = std::chrono::microseconds(500);
constexpr auto kLook = std::chrono::milliseconds(20);
constexpr auto kLate = std::chrono::seconds(2);
// A thread takes a pending signal before it runs: it is late only if it gets no processor.
constexpr auto kDelivery = std::chrono::milliseconds(100);

long do_ptrace(unsigned long request, pid_t tid, unsigned long address, const void* data) {
  return ::syscall(SYS_ptrace, request, tid, address, data);
}

Error failed(const char* what, pid_t tid) {
  return errno_error(fmt::format("{} of thread {}", what, tid));
}

int event_of(int status) { return status >> 16; }

}  // namespace

bool Wait::nap() {
  std::this_thread::sleep_for(nap_);
  nap_ = std::min<std::chrono::microseconds>(nap_ * 2, kLongNap);
  const auto now = std::chrono::steady_clock::now();
  if (now < next_look_) return true;
  next_look_ = now + kLook;
  if (now - since_ > kLate && !is_told_) {
    is_told_ = true;
    log_warn("ptrace", "thread {} takes long; it is waited for", tid_);
  }
  const auto stat = proc::read_stat(tid_);
  return stat ? stat->state != 'Z' && stat->state != 'X' : stat.error().err != ESRCH;
}

Result<void> Tracee::seize() {
  if (do_ptrace(PTRACE_SEIZE, tid_, 0, reinterpret_cast<void*>(PTRACE_O_TRACESYSGOOD)) != 0)
    return failed("seize", tid_);
  return {};
}

void Tracee::interrupt() { do_ptrace(PTRACE_INTERRUPT, tid_, 0, nullptr); }

bool Tracee::poll() {
  if (stopped_ || gone_) return true;
  int status = 0;
  const pid_t r = ::waitpid(tid_, &status, __WALL | WNOHANG);
  if (r < 0 && errno == ECHILD) gone_ = true;
  if (r != tid_) return gone_;
  if (WIFEXITED(status) || WIFSIGNALED(status)) {
    gone_ = true;
    return true;
  }
  if (!WIFSTOPPED(status)) return false;
  if (event_of(status) == PTRACE_EVENT_STOP) {
    stands(status);
    return true;
  }
  pass_on(status);  // the interrupt is still pending
  return false;
}

void Tracee::stands(int status) {
  const int sig = WSTOPSIG(status);
  group_stop_ = sig == SIGSTOP || sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU;
  stopped_ = true;
}

// A signal on its way to the program, or something else on the way to the stop.
void Tracee::pass_on(int status) {
  const int sig =
      event_of(status) == 0 && WSTOPSIG(status) != (SIGTRAP | 0x80) ? WSTOPSIG(status) : 0;
  do_ptrace(PTRACE_CONT, tid_, 0, reinterpret_cast<void*>(static_cast<uintptr_t>(sig)));
}

Result<void> Tracee::wait_stop(Deadline deadline) {
  for (Wait wait(tid_, deadline); !poll();) {
    if (wait.is_over()) return Error{ETIMEDOUT, fmt::format("stop thread {}", tid_)};
    if (!wait.nap() && !poll()) gone_ = true;
  }
  return {};
}

void Tracee::resume() {
  if (gone_ || !stopped_) return;
  stopped_ = group_stop_ = false;
  do_ptrace(PTRACE_CONT, tid_, 0, nullptr);
}

// The kernel prefers a requested stop to a pending signal, so we request the stop once the signal is on its way.
Result<void> Tracee::take_signal(Deadline deadline) {
  if (gone_ || !stopped_) return {};
  resume();
  const auto delivered = wait_any(std::min(deadline, std::chrono::steady_clock::now() + kDelivery));
  if (gone_) return {};
  if (delivered && event_of(*delivered) == PTRACE_EVENT_STOP) {
    stands(*delivered);  // the signal stops the process, or the stop of another one has begun
    return {};
  }
  interrupt();
  if (delivered) pass_on(*delivered);
  return wait_stop(deadline);
}

void Tracee::detach() {
  if (gone_) return;
  do_ptrace(PTRACE_DETACH, tid_, 0, nullptr);
  stopped_ = false;
  gone_ = true;
}

Result<user_regs_struct> Tracee::regs() const {
  user_regs_struct r{};
  if (do_ptrace(PTRACE_GETREGS, tid_, 0, &r) != 0) return failed("registers", tid_);
  return r;
}

Result<void> Tracee::set_regs(const user_regs_struct& regs) const {
  if (do_ptrace(PTRACE_SETREGS, tid_, 0, &regs) != 0) return failed("set registers", tid_);
  return {};
}

Result<std::vector<std::byte>> Tracee::xstate() const {
  std::vector<std::byte> area(kMaxXstate);
  iovec io{area.data(), area.size()};
  if (do_ptrace(PTRACE_GETREGSET, tid_, NT_X86_XSTATE, &io) != 0)
    return failed("vector state", tid_);
  area.resize(io.iov_len);
  return area;
}

Result<void> Tracee::set_xstate(std::span<const std::byte> area) const {
  iovec io{const_cast<std::byte*>(area.data()), area.size()};
  if (do_ptrace(PTRACE_SETREGSET, tid_, NT_X86_XSTATE, &io) != 0)
    return failed("set vector state", tid_);
  return {};
}

Result<uint64_t> Tracee::signal_mask() const {
  uint64_t mask = 0;
  if (do_ptrace(PTRACE_GETSIGMASK, tid_, sizeof mask, &mask) != 0)
    return failed("signal mask", tid_);
  return mask;
}

Result<void> Tracee::set_signal_mask(uint64_t mask) const {
  if (do_ptrace(PTRACE_SETSIGMASK, tid_, sizeof mask, &mask) != 0)
    return failed("set signal mask", tid_);
  return {};
}

Result<RseqArea> Tracee::rseq() const {
  __ptrace_rseq_configuration c{};
  if (do_ptrace(PTRACE_GET_RSEQ_CONFIGURATION, tid_, sizeof c, &c) < 0) return failed("rseq", tid_);
  return RseqArea{c.rseq_abi_pointer, c.rseq_abi_size, c.signature};
}

bool Tracee::has_user_dispatch() const {
  constexpr int kGetUserDispatch = 0x4211;  // PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG
  struct {
    uint64_t mode, selector, offset, bytes;
  } config{};
  return do_ptrace(kGetUserDispatch, tid_, sizeof config, &config) == 0 && config.mode != 0;
}

Result<std::pair<uint64_t, uint64_t>> Tracee::robust_list() const {
  uint64_t head = 0, size = 0;
  if (::syscall(SYS_get_robust_list, tid_, &head, &size) != 0) return failed("robust list", tid_);
  return std::pair(head, size);
}

// Waits for the next stop of any kind and returns its status.
Result<int> Tracee::wait_any(Deadline deadline) {
  for (Wait wait(tid_, deadline);;) {
    int status = 0;
    const pid_t r = ::waitpid(tid_, &status, __WALL | WNOHANG);
    if (r == tid_) {
      if (WIFSTOPPED(status)) return status;
      gone_ = true;
      return Error{ESRCH, fmt::format("thread {} ended", tid_)};
    }
    if (r < 0) {
      gone_ = true;
      return failed("wait", tid_);
    }
    if (gone_) return Error{ESRCH, fmt::format("thread {} ended", tid_)};
    if (wait.is_over()) return Error{ETIMEDOUT, fmt::format("thread {} does not stop", tid_)};
    gone_ = !wait.nap();
  }
}

Result<int64_t> Tracee::inject(const user_regs_struct& base, uint64_t site, uint64_t stack,
                               uint64_t nr, std::span<const uint64_t> args, Deadline deadline) {
  user_regs_struct r = base;
  r.rip = site;
  r.rsp = stack;
  r.rax = nr;
  r.orig_rax = ~0ull;
  unsigned long long* const where[] = {&r.rdi, &r.rsi, &r.rdx, &r.r10, &r.r8, &r.r9};
  for (size_t i = 0; i < 6; i++) *where[i] = i < args.size() ? args[i] : 0;
  if (auto set = set_regs(r); !set) return set.error();
  if (auto set = set_signal_mask(~uint64_t{0}); !set) return set.error();
  // Entry stop, exit stop, and then an event stop: the kernel looks at orig_rax again only there.
  uintptr_t signal = 0;
  for (int stops = 0; stops < 2;) {
    if (do_ptrace(PTRACE_SYSCALL, tid_, 0, reinterpret_cast<void*>(signal)) != 0)
      return failed("inject into", tid_);
    auto status = wait_any(deadline);
    if (!status) return status.error();
    const auto sig = static_cast<uintptr_t>(WSTOPSIG(*status));
    const bool in_call = sig == (SIGTRAP | 0x80) && event_of(*status) == 0;
    if (in_call) stops++;
    // A signal that cannot be blocked is on its way to the process. Anything else is an event stop of an earlier
    // interrupt.
    signal = !in_call && event_of(*status) == 0 ? sig : 0;
  }
  auto after = regs();
  if (!after) return after.error();
  interrupt();
  stopped_ = false;
  if (do_ptrace(PTRACE_CONT, tid_, 0, nullptr) != 0) return failed("inject into", tid_);
  if (auto stop = wait_stop(deadline); !stop) return stop.error();
  if (gone_) return Error{ESRCH, fmt::format("thread {} ended", tid_)};
  return static_cast<int64_t>(after->rax);
}

Result<void> Tracee::single_step(Deadline deadline) {
  if (do_ptrace(PTRACE_SINGLESTEP, tid_, 0, nullptr) != 0) return failed("step", tid_);
  auto status = wait_any(deadline);
  if (!status) return status.error();
  return {};
}

}  // namespace om::deputy
