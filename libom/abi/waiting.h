// SPDX-License-Identifier: Apache-2.0
//
// Calls that wait, and what a stop of the deputy's does to them: they come back short, or with EINTR and without
// the time that they had waited. Here is what each of them is like, once for libom and the deputy.
//
// Only calls that natively come back short for no other reason than a signal, an error or a time that is over are
// transfers here.
#pragma once

#include <stdint.h>

#include "gen/syscalls_desc.h"

namespace om {

// How the arguments of a transfer describe what is left of it.
enum class Shape : uint8_t {
  kNone,      // no transfer
  kBuffer,    // buffer in argument 1, count in 2
  kVector,    // iovec in argument 1, their number in 2
  kMessage,   // msghdr in argument 1
  kMessages,  // mmsghdr in argument 1, their number in 2: the answer counts these
  kCount,     // the kernel advances by itself; count in argument `count`
};
struct Transfer {
  Shape shape;
  uint32_t count;
};

constexpr uint64_t kWaitsForAll = 0x100, kWaitsForOne = 0x10000, kDoesNotWait = 0x40;  // MSG_...

constexpr Transfer transfer_of(uint64_t nr, const uint64_t a[6]) {
  switch (nr) {
    case kNr_write:
    case kNr_sendto:
      return {Shape::kBuffer, 2};
    case kNr_recvfrom:
      return {(a[3] & kWaitsForAll) ? Shape::kBuffer : Shape::kNone, 2};
    case kNr_writev:
    case kNr_vmsplice:
      return {Shape::kVector, 2};
    case kNr_pwritev2:
      return {a[3] == ~uint64_t{0} ? Shape::kVector : Shape::kNone, 2};
    case kNr_sendmsg:
      return {Shape::kMessage, 0};
    case kNr_recvmsg:
      return {(a[2] & kWaitsForAll) ? Shape::kMessage : Shape::kNone, 0};
    case kNr_sendmmsg:
      return {Shape::kMessages, 2};
    case kNr_recvmmsg:
      return {(a[3] & (kWaitsForOne | kDoesNotWait)) ? Shape::kNone : Shape::kMessages, 2};
    case kNr_sendfile:
      return {Shape::kCount, 3};
    case kNr_splice:
    case kNr_copy_file_range:
      return {Shape::kCount, 4};
    default:
      return {Shape::kNone, 0};
  }
}

// Calls that SO_RCVTIMEO or SO_SNDTIMEO ends if their descriptor is a socket. The kernel answers EINTR to them, and
// the timeout is the socket's, not the call's: the rest of the time is spent in ppoll, and then the call is made in
// a form that does not wait.
struct SocketWait {
  bool waits;
  bool sends;
  uint32_t at_once;  // the call that does not wait
  uint32_t
      flags;  // its argument with MSG_DONTWAIT; 0: there is none, and the descriptor has to be ready
  bool wraps;  // its argument 1 is a msghdr with the vector in it
};

constexpr SocketWait socket_wait_of(uint64_t nr, const uint64_t a[6]) {
  switch (nr) {
    case kNr_read:
      return {true, false, kNr_recvfrom, 3, false};
    case kNr_write:
      return {true, true, kNr_sendto, 3, false};
    case kNr_readv:
      return {true, false, kNr_recvmsg, 2, true};
    case kNr_writev:
      return {true, true, kNr_sendmsg, 2, true};
    case kNr_preadv2:
      return {a[3] == ~uint64_t{0}, false, kNr_recvmsg, 2, true};
    case kNr_pwritev2:
      return {a[3] == ~uint64_t{0}, true, kNr_sendmsg, 2, true};
    case kNr_recvfrom:
      return {true, false, kNr_recvfrom, 3, false};
    case kNr_sendto:
      return {true, true, kNr_sendto, 3, false};
    case kNr_recvmsg:
      return {true, false, kNr_recvmsg, 2, false};
    case kNr_sendmsg:
      return {true, true, kNr_sendmsg, 2, false};
    case kNr_recvmmsg:
      return {true, false, kNr_recvmmsg, 3, false};
    case kNr_sendmmsg:
      return {true, true, kNr_sendmmsg, 3, false};
    case kNr_accept:
    case kNr_accept4:
      return {true, false, static_cast<uint32_t>(nr), 0, false};
    case kNr_connect:
      return {true, true, static_cast<uint32_t>(nr), 0, false};
    default:
      return {false, false, 0, 0, false};
  }
}

// Where a call whose interruption loses its remaining time keeps its relative timeout.
enum class Timeout : uint8_t { kNone, kMillis, kTimespec };
struct TimeoutAt {
  Timeout kind;
  uint32_t arg;
};

constexpr TimeoutAt timeout_of(uint64_t nr) {
  switch (nr) {
    case kNr_epoll_wait:
    case kNr_epoll_pwait:
      return {Timeout::kMillis, 3};
    case kNr_epoll_pwait2:
    case kNr_semtimedop:
      return {Timeout::kTimespec, 3};
    case kNr_rt_sigtimedwait:
      return {Timeout::kTimespec, 2};
    default:
      return {Timeout::kNone, 0};
  }
}

// Where the kernel writes what is left of the time when it interrupts the call (16 bytes); 0: nowhere.
constexpr uint32_t time_left_at(uint64_t nr) {
  switch (nr) {
    case kNr_select:
    case kNr_pselect6:
      return 4;
    case kNr_ppoll:
      return 2;
    default:
      return 0;
  }
}

}  // namespace om
