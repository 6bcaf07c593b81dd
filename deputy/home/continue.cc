// SPDX-License-Identifier: Apache-2.0
#include "deputy/home/continue.h"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>

#include "common/base/unique_fd.h"
#include "deputy/base/host.h"
#include "deputy/home/classify.h"
#include "libom/abi/anchor.h"
#include "libom/abi/continue.h"

namespace om::deputy {
namespace {

constexpr uint64_t kRedZone = 128;
constexpr int64_t kNsPerMs = 1000000, kNsPerSec = 1000000000;

// The program's memory, for abi/rest.h.
struct InTarget {
  const Target& target;
  bool load(uint64_t from, uint64_t* to, uint64_t words) const {
    return target.memory.read(from, std::as_writable_bytes(std::span(to, words))).ok();
  }
};

template <class T>
bool option(int fd, int name, T& value) {
  socklen_t size = sizeof value;
  return ::getsockopt(fd, SOL_SOCKET, name, &value, &size) == 0;
}

// The timeout that a call is under if its descriptor is a socket. Empty if we cannot get at the descriptors: when the
// main thread has ended.
SocketTime socket_time(pid_t pid, uint64_t nr, const uint64_t args[6], double blocked_ms) {
  const SocketWait w = socket_wait_of(nr, args);
  if (!w.waits) return {};
  const UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!process.valid()) return {};
  const UniqueFd fd(
      static_cast<int>(::syscall(SYS_pidfd_getfd, process.get(), static_cast<int>(args[0]), 0)));
  timeval timeout{};
  if (!fd.valid() || !option(fd.get(), w.sends ? SO_SNDTIMEO : SO_RCVTIMEO, timeout)) return {};
  SocketTime s{};
  s.timeout_ns = timeout.tv_sec * kNsPerSec + timeout.tv_usec * 1000;
  if (s.timeout_ns <= 0) return {};
  int domain = 0, type = 0;
  option(fd.get(), SO_DOMAIN, domain);
  option(fd.get(), SO_TYPE, type);
  s.left_ns = s.timeout_ns - static_cast<int64_t>(blocked_ms * kNsPerMs);
  s.renews = w.sends && domain == AF_UNIX && type == SOCK_STREAM;
  s.seqpacket = type == SOCK_SEQPACKET;
  return s;
}

// What is left of a timeout that the kernel checks after each message; negative if there is none. The kernel has
// written what was left after the last one; the thread has not run since.
int64_t limit_left(const Target& target, uint64_t nr, const uint64_t args[6], double blocked_ms) {
  timespec limit{};
  const uint32_t at = wait_desc(nr).between;
  if (at == 0 || args[at] == 0 ||
      !target.memory.read(args[at], std::as_writable_bytes(std::span(&limit, 1))))
    return -1;
  const int64_t left = limit.tv_sec * kNsPerSec + limit.tv_nsec;
  return std::max<int64_t>(left - static_cast<int64_t>(blocked_ms * kNsPerMs), 0);
}

// Sets the time that a call still has, if the call itself says how long it waits.
void rest_of_time(const Target& target, uint64_t frame, double blocked_ms, ContinueFrame& f) {
  const uint64_t end = call_deadline(target, f.rest.nr, f.rest.args, blocked_ms);
  if (end == 0) return;
  const uint64_t now = now_ns(CLOCK_MONOTONIC), left = end > now ? end - now : 0;
  const TimeoutAt at = timeout_of(f.rest.nr);
  if (at.kind == Timeout::kMillis) {
    f.rest.args[at.arg] = (left + kNsPerMs - 1) / kNsPerMs;
  } else {
    f.timeout[0] = left / kNsPerSec;
    f.timeout[1] = left % kNsPerSec;
    f.rest.args[at.arg] = frame + offsetof(ContinueFrame, timeout);
  }
}

}  // namespace

bool continue_call(const Target& target, double blocked_ms, user_regs_struct& regs,
                   bool* in_program) {
  if (static_cast<int64_t>(regs.orig_rax) < 0) return false;
  const Anchor& a = target.anchor;
  const bool program = regs.rip < target.image_lo() || regs.rip >= target.image_hi() ||
                       (regs.rip >= a.exports_lo && regs.rip < a.exports_hi);
  if (!program) return false;
  const Cut cut = cut_of(target, regs);
  if (cut == Cut::kNot) return false;

  ContinueFrame f{};
  const uint64_t frame = (regs.rsp - kRedZone - sizeof f) & ~uint64_t{15}, nr = regs.orig_rax;
  const uint64_t args[6] = {regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9};
  const SocketTime socket = socket_time(target.pid, nr, args, blocked_ms);
  if (!prepare_rest(f.rest, InTarget{target}, frame + offsetof(ContinueFrame, rest), nr, args,
                    cut == Cut::kShort ? regs.rax : 0, socket,
                    limit_left(target, nr, args, blocked_ms)))
    return false;
  if (cut == Cut::kInterrupted) rest_of_time(target, frame, blocked_ms, f);
  if (f.rest.limited) f.limit_to = args[wait_desc(nr).between];
  if (in_program != nullptr)
    *in_program = f.rest.events != 0 || (f.rest.shape == Shape::kMessages && cut == Cut::kShort);
  f.rdi = regs.rdi;
  f.rsi = regs.rsi;
  f.rdx = regs.rdx;
  f.r10 = regs.r10;
  f.r8 = regs.r8;
  f.r9 = regs.r9;
  f.flags = regs.eflags;
  f.rip = regs.rip;
  f.rsp = regs.rsp;
  if (!target.memory.put(frame, f))
    return false;  // no stack there: the program gets the short answer
  regs.rsp = frame;
  regs.rip = a.continue_call;
  regs.orig_rax = ~0ull;
  return true;
}

}  // namespace om::deputy
