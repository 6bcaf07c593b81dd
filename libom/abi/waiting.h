// SPDX-License-Identifier: Apache-2.0
//
// Calls that wait, and what a stop of the deputy's does to them: they come back short, or with EINTR and without
// the time that they had waited. What each of them is like is in its row (wait_desc.h); here it is looked up for
// particular arguments, once for libom and the deputy.
//
// Only calls that natively come back short for no other reason than a signal, an error or a time that is over are
// transfers here.
#pragma once

#include <stdint.h>

#include "gen/syscalls_desc.h"

namespace om {

struct Transfer {
  Shape shape;     // kNone: no transfer with these arguments
  uint32_t count;  // argument: bytes, or messages, to be transferred
};

constexpr uint64_t kWaitsForAll = 0x100, kDoesNotWait = 0x40;  // MSG_...

constexpr Transfer transfer_of(uint64_t nr, const uint64_t a[6]) {
  const WaitDesc& w = wait_desc(nr);
  if (!holds(w.rest_if, a)) return {Shape::kNone, 0};
  return {w.rest, w.count};
}

// Whether it is sendmsg or the like: their outputs are not a row's, but messages (msgwire.h).
constexpr bool is_message_call(uint64_t nr) {
  const Shape shape = wait_desc(nr).rest;
  return shape == Shape::kMessage || shape == Shape::kMessages;
}

// What sendmsg and the like differ in.
struct MessageCall {
  bool vector;       // an array of struct mmsghdr, and not one struct msghdr
  bool receiving;    // messages come out
  uint32_t timeout;  // argument: a struct timespec that is looked at behind each message; 0: none
};

constexpr MessageCall message_call_of(uint64_t nr) {
  const WaitDesc& w = wait_desc(nr);
  return {w.rest == Shape::kMessages, w.socket == SocketSide::kReceives, w.between};
}

// Whether a message, or each message of an array, may be served in part.
constexpr bool transfers_parts(const WaitDesc& w, uint64_t flags) {
  return w.socket == SocketSide::kSends || (flags & kWaitsForAll) != 0;
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
  bool wraps;   // its argument 1 is a msghdr with the vector in it
  int expired;  // the answer when the time is over, an errno
};

constexpr SocketWait socket_wait_of(uint64_t nr, const uint64_t a[6]) {
  const WaitDesc& w = wait_desc(nr);
  if (!holds(w.socket_if, a)) return {false, false, 0, 0, false, 0};
  return {true,     w.socket == SocketSide::kSends, w.at_once, w.at_once_flags, w.at_once_wraps,
          w.expired};
}

// Where a call whose interruption loses its remaining time keeps its relative timeout: kMillis, kTimespec or kNone.
struct TimeoutAt {
  Timeout kind;
  uint32_t arg;
};

constexpr TimeoutAt timeout_of(uint64_t nr) {
  const WaitDesc& w = wait_desc(nr);
  if (w.timeout != Timeout::kMillis && w.timeout != Timeout::kTimespec) return {Timeout::kNone, 0};
  return {w.timeout, w.timeout_arg};
}

// Where the kernel writes what is left of the time when it interrupts the call (16 bytes); 0: nowhere.
constexpr uint32_t time_left_at(uint64_t nr) {
  const WaitDesc& w = wait_desc(nr);
  return w.timeout == Timeout::kLeft ? w.timeout_arg : 0;
}

}  // namespace om
