// SPDX-License-Identifier: Apache-2.0
//
// Calls that wait, and how the deputy's stop affects them: they return short, or with EINTR and without a record of the
// time waited. Each call's row describes it (wait_desc.h); this looks it up for particular arguments, once for libom
// and the deputy.
//
// Only calls that natively return short for no other reason than a signal, an error or a timeout count as transfers
// here.
#pragma once

#include <stdint.h>

#include "gen/syscalls_desc.h"

namespace om {

struct Transfer {
  Shape shape;     // kNone: no transfer with these arguments
  uint32_t count;  // argument: bytes, or messages, to transfer
};

constexpr uint64_t kWaitsForAll = 0x100, kDoesNotWait = 0x40;  // MSG_...

constexpr Transfer transfer_of(uint64_t nr, const uint64_t a[6]) {
  const WaitDesc& w = wait_desc(nr);
  if (!holds(w.rest_if, a)) return {Shape::kNone, 0};
  return {w.rest, w.count};
}

// Whether it is sendmsg or the like, whose outputs are messages (msgwire.h) and not described by a row.
constexpr bool is_message_call(uint64_t nr) {
  const Shape shape = wait_desc(nr).rest;
  return shape == Shape::kMessage || shape == Shape::kMessages;
}

// How sendmsg and the like differ.
struct MessageCall {
  bool vector;       // an array of struct mmsghdr, not one struct msghdr
  bool receiving;    // messages come out
  uint32_t timeout;  // argument: a struct timespec that is checked after each message; 0: none
};

constexpr MessageCall message_call_of(uint64_t nr) {
  const WaitDesc& w = wait_desc(nr);
  return {w.rest == Shape::kMessages, w.socket == SocketSide::kReceives, w.between};
}

// Whether a message, or each message of an array, may be transferred in part.
constexpr bool transfers_parts(const WaitDesc& w, uint64_t flags) {
  return w.socket == SocketSide::kSends || (flags & kWaitsForAll) != 0;
}

// Calls that SO_RCVTIMEO or SO_SNDTIMEO ends if their descriptor is a socket. The kernel answers EINTR to them, and
// the timeout is the socket's, not the call's: ppoll waits for the rest of the time, and then the call is made in a
// form that does not wait.
struct SocketWait {
  bool waits;
  bool sends;
  uint32_t at_once;  // the call that does not wait
  uint32_t flags;    // its argument with MSG_DONTWAIT; 0: none, the descriptor has to be ready
  bool wraps;        // its argument 1 is a msghdr with the vector in it
  int expired;       // the answer when the time is up, an errno
};

constexpr SocketWait socket_wait_of(uint64_t nr, const uint64_t a[6]) {
  const WaitDesc& w = wait_desc(nr);
  if (!holds(w.socket_if, a)) return {false, false, 0, 0, false, 0};
  return {true,     w.socket == SocketSide::kSends, w.at_once, w.at_once_flags, w.at_once_wraps,
          w.expired};
}

// Where a call that loses its remaining time when interrupted has its relative timeout: kMillis, kTimespec or kNone.
struct TimeoutAt {
  Timeout kind;
  uint32_t arg;
};

constexpr TimeoutAt timeout_of(uint64_t nr) {
  const WaitDesc& w = wait_desc(nr);
  if (w.timeout != Timeout::kMillis && w.timeout != Timeout::kTimespec) return {Timeout::kNone, 0};
  return {w.timeout, w.timeout_arg};
}

// The argument to which the kernel writes the time left (16 bytes) when the call is interrupted; 0: none.
constexpr uint32_t time_left_at(uint64_t nr) {
  const WaitDesc& w = wait_desc(nr);
  return w.timeout == Timeout::kLeft ? w.timeout_arg : 0;
}

}  // namespace om
