// SPDX-License-Identifier: Apache-2.0
#include "deputy/continue.h"

#include <sys/syscall.h>

#include <algorithm>

#include "deputy/classify.h"
#include "deputy/host.h"
#include "libom/abi/continue.h"

namespace om::deputy {
namespace {

constexpr uint64_t kRedZone = 128;
constexpr uint64_t kNsPerMs = 1000000, kNsPerSec = 1000000000;

// The parts of a vector behind the first `done` bytes. False if they are too many.
bool rest_of_vector(const Target& target, uint64_t address, uint64_t count, uint64_t done,
                    ContinueFrame& f, uint64_t& left) {
  left = 0;
  for (uint64_t i = 0; i < count; i++) {
    uint64_t part[2];
    if (!target.memory.read(address + i * sizeof part, std::as_writable_bytes(std::span(part))))
      return false;
    const uint64_t skip = std::min(done, part[1]);
    done -= skip;
    if (skip == part[1]) continue;
    if (left == kContinueVectors) return false;
    f.vector[left][0] = part[0] + skip;
    f.vector[left][1] = part[1] - skip;
    left++;
  }
  return true;
}

// The rest of a transfer that has done `done` bytes. False for what cannot be told.
bool rest_of_transfer(const Target& target, uint64_t frame, uint64_t done, ContinueFrame& f) {
  uint64_t left = 0;
  switch (f.nr) {
    case SYS_write:
    case SYS_sendto:
    case SYS_recvfrom:
      f.args[1] += done;
      f.args[2] -= done;
      return true;
    case SYS_writev:
    case SYS_vmsplice:
      if (!rest_of_vector(target, f.args[1], f.args[2], done, f, left)) return false;
      f.args[1] = frame + offsetof(ContinueFrame, vector);
      f.args[2] = left;
      return true;
    case SYS_sendmsg:
    case SYS_recvmsg: {
      if (!target.memory.read(f.args[1], std::as_writable_bytes(std::span(f.message))))
        return false;
      uint64_t(&m)[7] = f.message;  // name, namelen, iov, iovlen, control, controllen, flags
      if (!rest_of_vector(target, m[2], m[3], done, f, left)) return false;
      m[2] = frame + offsetof(ContinueFrame, vector);
      m[3] = left;
      m[4] = m[5] = 0;  // went with the first byte
      f.args[1] = frame + offsetof(ContinueFrame, message);
      return true;
    }
    case SYS_sendfile:
      f.args[3] -= done;
      return true;
    case SYS_splice:
    case SYS_copy_file_range:
      f.args[4] -= done;
      return true;
    default:
      return false;
  }
}

// The time that a call still has, if it is one that has an end.
void rest_of_time(const Target& target, uint64_t frame, double blocked_ms, ContinueFrame& f) {
  const uint64_t end = call_deadline(target, f.nr, f.args, blocked_ms);
  if (end == 0) return;
  const uint64_t now = now_ns(CLOCK_MONOTONIC), left = end > now ? end - now : 0;
  switch (f.nr) {
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
      f.args[3] = (left + kNsPerMs - 1) / kNsPerMs;
      break;
    case SYS_epoll_pwait2:
    case SYS_semtimedop:
    case SYS_rt_sigtimedwait:
      f.time[0] = left / kNsPerSec;
      f.time[1] = left % kNsPerSec;
      f.args[f.nr == SYS_rt_sigtimedwait ? 2 : 3] = frame + offsetof(ContinueFrame, time);
      break;
    default:
      break;
  }
}

}  // namespace

bool continue_call(const Target& target, double blocked_ms, user_regs_struct& regs) {
  if (static_cast<int64_t>(regs.orig_rax) < 0) return false;
  const Anchor& a = target.anchor;
  const bool program = regs.rip < target.image_lo() || regs.rip >= target.image_hi() ||
                       (regs.rip >= a.exports_lo && regs.rip < a.exports_hi);
  if (!program) return false;
  const Cut cut = cut_of(target, regs);
  if (cut == Cut::kNot) return false;

  ContinueFrame f{};
  const uint64_t frame = (regs.rsp - kRedZone - sizeof f) & ~uint64_t{15};
  f.nr = regs.orig_rax;
  const uint64_t args[6] = {regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9};
  std::copy(std::begin(args), std::end(args), f.args);
  if (cut == Cut::kShort) {
    f.done = regs.rax;
    if (!rest_of_transfer(target, frame, f.done, f)) return false;
  } else {
    rest_of_time(target, frame, blocked_ms, f);
  }
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
