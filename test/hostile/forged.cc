// SPDX-License-Identifier: Apache-2.0
//
// Calls to home as no gate sends them. Home must do what the table says may be forwarded, to the program's own
// memory and descriptors, and nothing else; a Call that is refused costs nothing but its answer.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string.h>

#include <vector>

#include "gen/syscalls_desc.h"
#include "test/hostile/attacks.h"
#include "test/hostile/gate.h"

namespace om::hostile {
namespace {

long result_of(uint32_t nr, const uint64_t (&args)[6], const void* ins = nullptr, size_t n = 0,
               uint32_t flags = 0) {
  const Answer a = forge_next(nr, args, ins, n, flags);
  check(!a.exception, "an answer to a forged call", nr);
  return a.results.result;
}

// Everything that is no forwarded call, with arguments that would hurt.
void numbers() {
  const uint64_t state = anchor().home_state;
  for (uint32_t nr = 0; nr < 0x200; nr++) {
    const SyscallDesc& row = syscall_desc(nr);
    const bool acts_here =
        (row.route == Route::kLocal || row.route == Route::kVirt) && (row.effects & kEffPure) == 0;
    if (row.route != Route::kUnknown && row.route != Route::kHome && row.route != Route::kDeny &&
        !acts_here)
      continue;
    check(result_of(nr, {state, state, state, state, state, state}) == -ENOSYS, "not forwarded",
          nr);
  }
  for (uint32_t nr :
       {0x40000000u, 0x40000001u, 0x400000a0u, 0xffffffffu, 0x7fffffffu, 0x10009u, 0x1ffffu})
    check(result_of(nr, {1, 2, 3, 4, 5, 6}) == -ENOSYS, "a number that does not exist", nr);
  check(result_of(SYS_ioctl, {0, 0xdeadbeef, state}) == -ENOSYS, "an unlisted command", SYS_ioctl);
  check(result_of(SYS_prctl, {PR_SET_MM, 1, state, 8}) == -ENOSYS, "a command for home", SYS_prctl);
  check(result_of(SYS_clone, {0x50f00, state, state, state, state}) == -ENOSYS, "a thread",
        SYS_clone);
  check(result_of(SYS_exit, {0}) == -ENOSYS, "the end of the executor", SYS_exit);
}

// Input that is too short for what the arguments say, or too long.
void payloads() {
  uint8_t bytes[4096];
  memset(bytes, 0xff, sizeof bytes);
  const uint64_t big = uint64_t{1} << 40, max = ~uint64_t{0};
  check(result_of(SYS_write, {1, 8, 100}, bytes, 8) == -EPROTO, "write of what did not come", 0);
  check(result_of(SYS_write, {1, 8, big}, bytes, 8) == -EPROTO, "write of too much", 0);
  check(result_of(SYS_write, {1, 8, max}, bytes, 8) == -EPROTO, "write of too much", 1);
  check(result_of(SYS_writev, {1, 8, 2}, bytes, 16) == -EPROTO, "a vector of too much", 0);
  check(result_of(SYS_open, {8, 0, 0}, bytes, 64) == -EPROTO, "a path without an end", 0);
  check(result_of(SYS_execve, {8, 8, 8}, bytes, 64) == -EPROTO, "execve of a path without an end",
        0);
  check(result_of(SYS_bind, {0, 8, 128}, bytes, 0) == -EPROTO, "a name that did not come", 0);
  check(result_of(SYS_sendmsg, {0, 8, 0}, bytes, 8) == -EPROTO, "no messages", 0);
  uint64_t count = max;
  check(result_of(SYS_sendmmsg, {0, 8, 1, 0}, &count, 8) == -EPROTO, "too many messages", 0);
  check(result_of(SYS_setsockopt, {0, 1, 2, 8, 1u << 30}, bytes, 8) == -EPROTO, "a long option", 0);
  check(result_of(SYS_getsockname, {0, 8, 8}, bytes, 0) == -EPROTO, "no length", 0);
  check(result_of(SYS_poll, {8, 0x7fffffff, 0}, bytes, 8) == -EPROTO, "an array that did not come",
        0);
  check(result_of(SYS_select, {0x7fffffff, 8, 8, 8, 8}, bytes, 8) == -EPROTO, "sets", 0);
  check(result_of(SYS_read, {1000, 8, big}) == -EBADF, "room for more than there is", 0);
  check(result_of(kNrFault, {11}, bytes, 8) == -EPROTO, "a fault without its siginfo", 0);
  check(result_of(kNrFault, {99}, bytes, 128) == -EPROTO, "a fault by no signal", 0);
}

// The memory of libom's at home: not to be read, written or unmapped.
void memory() {
  const Anchor& a = anchor();
  const uint64_t arena = body_state().arena, slot = slot_address(arena, 0);
  uint8_t read[256];
  for (uint64_t at : {a.home_state, slot + kSlotBlock, slot + kSlotRecv, arena + kControlPlan,
                      a.gate_lo, a.home_state - 100}) {
    const uint64_t args[6] = {at, sizeof read};
    const Answer answer = forge_next(kNrReadHome, args, nullptr, 0, 0, read, sizeof read);
    check(answer.results.result <= 0 && answer.got == 0, "libom's memory is read",
          answer.results.result);
    // Would overwrite the phase and what follows it.
    pollfd fds[4];
    for (auto& fd : fds) fd = {-1, -1, -1};
    check(result_of(SYS_poll, {at, 4, 0}, fds, sizeof fds) == 0, "poll", 0);
    const timespec soon{0, 1000};
    check(result_of(SYS_nanosleep, {8, at}, &soon, sizeof soon) == 0, "nanosleep", 0);
    check(result_of(SYS_clock_nanosleep, {1, 0, 8, at}, &soon, sizeof soon) == 0, "nanosleep", 1);
  }
  for (uint64_t at : {a.image_lo, arena, slot & ~uint64_t{4095},
                      arena + arena_bytes(body_state().nslots) - 4096}) {
    const uint64_t kFixed = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    check(result_of(SYS_munmap, {at, 4096}) == -EINVAL, "munmap of libom", 0);
    check(result_of(SYS_munmap, {at - 4096, 8192}) == -EINVAL, "munmap of libom", 1);
    check(result_of(SYS_munmap, {at, ~uint64_t{0}}) == -EINVAL, "munmap of libom", 2);
    check(result_of(SYS_mprotect, {at, 4096, 7}) == -EINVAL, "mprotect of libom", 0);
    check(result_of(SYS_mmap, {at, 4096, 7, kFixed, ~uint64_t{0}, 0}) == -EINVAL, "mmap over libom",
          0);
    check(result_of(SYS_madvise, {at, 4096, MADV_DONTNEED}) == -EINVAL, "madvise of libom", 0);
    check(result_of(SYS_mremap, {at, 4096, 8192, 1, 0}) == -EINVAL, "mremap of libom", 0);
    check(result_of(SYS_mremap, {0x10000, 4096, 4096, 3, at}) == -EINVAL, "mremap over libom", 0);
  }
  check(result_of(SYS_mmap, {0, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS, ~uint64_t{0}, 0}) == -EINVAL,
        "mmap anywhere", 0);
}

void threads() {
  const uint32_t slots = body_state().nslots;
  for (uint64_t slot :
       {uint64_t{0}, uint64_t{slots}, uint64_t{slots} + 1, uint64_t{1} << 32, ~uint64_t{0}})
    check(result_of(kNrCloneTwin, {slot}) == -EINVAL, "a thread in a slot",
          static_cast<long>(slot));
}

// Numbers that are not the next one, and Calls for others.
void order() {
  safe::ForwardParams p{};
  p.nr = SYS_getpgrp;
  p.flags = kCallWaited;
  p.epoch = body_state().epoch;
  p.thread = block()->slot;
  p.sequence = next_sequence() - 1;
  for (uint32_t thread : {1u, 63u, 0xffffffffu}) {
    p.thread = thread;
    check(forge(p, nullptr, 0).exception, "a call for another thread", thread);
  }
  p.thread = block()->slot;
  for (uint32_t epoch : {p.epoch + 1, p.epoch - 1, 0u}) {
    p.epoch = epoch;
    check((forge(p, nullptr, 0).results.flags & kRetRevoked) != 0, "a call of another epoch",
          epoch);
  }
  p.epoch = body_state().epoch;
  for (uint64_t sequence : {uint64_t{0}, uint64_t{1}, next_sequence() - 2}) {
    p.sequence = sequence;
    const Answer a = forge(p, nullptr, 0);
    check(!a.exception && a.results.result == 0, "a call once more", a.results.result);
  }
  // The last one is kept: as when its answer was lost with the connection.
  const int ends = open("once", O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const auto fd = static_cast<uint64_t>(ends);
  const long wrote = result_of(SYS_write, {fd, 8, 8}, "only one", 8);
  check(wrote == 8, "write", wrote);
  p.nr = SYS_write;
  p.sequence = next_sequence() - 1;
  p.a[0] = fd;
  p.a[1] = 8;
  p.a[2] = 8;
  const Answer kept = forge(p, "one more", 8);
  check(!kept.exception && kept.results.result == 8, "the last call once more",
        kept.results.result);
  check(lseek(ends, 0, SEEK_END) == 8, "it was executed once more", lseek(ends, 0, SEEK_END));
  close(ends);
}

// The whole row of libom's descriptors lies below this number.
uint64_t fd_end() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_max < 65536 ? limit.rlim_max : 65536;
}

}  // namespace

void forge_calls() {
  getppid();  // connected, and nothing under way
  numbers();
  payloads();
  memory();
  threads();
  order();
  still_served();
}

void forge_descriptors() {
  const uint64_t end = fd_end(), slots = body_state().nslots;
  int pair[2];
  check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0, "socketpair", errno);
  const long self = syscall(SYS_pidfd_open, getpid(), 0);
  check(self >= 0, "pidfd_open", self);
  const auto to = static_cast<uint64_t>(pair[0]);
  for (uint64_t fd = end - slots - 2; fd < end; fd++) {
    check(result_of(SYS_close, {fd}) == -EBADF, "close", static_cast<long>(fd));
    check(result_of(SYS_dup, {fd}) == -EBADF, "dup", static_cast<long>(fd));
    check(result_of(SYS_fcntl, {fd, F_DUPFD, 3}) == -EBADF, "fcntl", static_cast<long>(fd));
    check(result_of(SYS_shutdown, {fd, 2}) == -EBADF, "shutdown", static_cast<long>(fd));
    check(result_of(SYS_read, {fd, 8, 64}) == -EBADF, "read", static_cast<long>(fd));
    const long copy = result_of(SYS_pidfd_getfd, {static_cast<uint64_t>(self), fd, 0});
    check(copy == -EBADF, "pidfd_getfd", copy);
    // One message: no name, control data with a descriptor, one byte.
    struct {
      uint64_t count = 1;
      uint32_t has_name = 0, namelen = 0, has_control = 1, flags = 0;
      uint64_t controllen = 24, data = 1, result = 0;
      uint64_t cmsg_len = 20;
      int32_t level = SOL_SOCKET, type = SCM_RIGHTS;
      uint64_t number = 0;
      uint64_t byte = 0;
    } message;
    message.number = fd;
    const long sent = result_of(SYS_sendmsg, {to, 8, 0}, &message, sizeof message);
    check(sent == -EBADF, "sendmsg", sent);
  }
  check(result_of(SYS_close_range, {60, 0xffffffff, 0}) == 0, "close_range", 0);
  still_served();
  close(pair[0]);
  close(pair[1]);
}

}  // namespace om::hostile
