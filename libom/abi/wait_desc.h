// SPDX-License-Identifier: Apache-2.0
//
// What a call that may wait is like, after tools/gen_syscalls.py has compiled the attributes of its row (rest=,
// until=, mask=, pieces=, home-if=, wakes= in syscalls.tbl): how it is cut, timed, masked and taken apart. Look-ups
// for particular arguments are in waiting.h.
//
// Included by freestanding code: PODs and constants only.
#pragma once

#include <stdint.h>

namespace om {

// Whether an attribute holds, by an argument of the call.
struct Condition {
  enum Kind : uint8_t {
    kNever = 0,  // the row does not have the attribute
    kAlways,
    kAnyOf,   // one of `bits` is set
    kNoneOf,  // none of `bits` is set
    kEquals,  // the argument is `bits`, with its sign
  };
  Kind kind;
  uint8_t arg;
  int32_t bits;
};

constexpr bool holds(const Condition& c, const uint64_t args[6]) {
  switch (c.kind) {
    case Condition::kNever:
      return false;
    case Condition::kAlways:
      return true;
    case Condition::kAnyOf:
      return (args[c.arg] & static_cast<uint32_t>(c.bits)) != 0;
    case Condition::kNoneOf:
      return (args[c.arg] & static_cast<uint32_t>(c.bits)) == 0;
    case Condition::kEquals:
      return args[c.arg] == static_cast<uint64_t>(int64_t{c.bits});
  }
  return false;
}

// rest=: how the arguments describe what a transfer that a stop has cut has left.
enum class Shape : uint8_t {
  kNone,      // no transfer, or one that comes back short for other reasons, too
  kBuffer,    // buffer in argument 1, count in `count` (2)
  kVector,    // iovec in argument 1, their number in 2
  kMessage,   // msghdr in argument 1
  kMessages,  // mmsghdr in argument 1, their number in 2: the answer counts these
  kCount,     // the kernel advances by itself; count in `count`
};

// until=: how long a call waits at most, by an argument of its own.
enum class Timeout : uint8_t {
  kNone,
  kMillis,    // relative, an int; an interruption loses what is left of it
  kTimespec,  // relative, a struct timespec; an interruption loses what is left of it
  kLeft,      // relative; the kernel writes what is left (16 bytes) to the argument
  kKernel,    // relative; the kernel keeps what is left (ERESTART_RESTARTBLOCK)
  kAbsolute,
};

// until=socket(...): the direction whose timeout (SO_RCVTIMEO, SO_SNDTIMEO) ends the call if it is on a socket.
enum class SocketSide : uint8_t { kNone, kReceives, kSends };

// mask=: the signal mask that the call waits with.
enum class MaskAt : uint8_t {
  kNone,
  kHere,    // the argument points at it
  kBehind,  // the argument points at a pointer to it
};

// pieces=: how a transfer of more bytes than one Call may have is taken apart.
enum class Pieces : uint8_t {
  kNone,     // not at all
  kFile,     // by the file's offset, or that in argument `offset`
  kMessage,  // the flags of the message are in argument `message_flags`
};

struct WaitDesc {
  Condition rest_if, socket_if, pieces_if, home_if, lost_if;
  Shape rest;
  uint8_t count;    // argument: bytes, or elements, to be transferred
  uint8_t to;       // kCount: argument, the descriptor that is written to
  uint16_t single;  // kMessages: the call for one message
  Timeout timeout;
  uint8_t timeout_arg;
  uint8_t between;  // argument: a struct timespec that is looked at behind each message; 0: none
  SocketSide socket;
  uint16_t at_once;       // the call of the same effect that is made when the time is over
  uint8_t at_once_flags;  // its argument with MSG_DONTWAIT; 0: it has none
  bool at_once_wraps;     // its argument 1 is a msghdr with the vector in it
  uint8_t expired;        // errno when the time is over
  MaskAt mask;
  uint8_t mask_arg;
  Pieces pieces;
  bool
      pieces_vector;  // argument 1 is an iovec, argument 2 their number; else a buffer and its length
  uint8_t offset;     // argument: the offset, unless it is -1; 0: none
  uint8_t message_flags;  // argument; 0: none
  bool wakes_by_memory;   // what it waits for is a word of the program's memory
  bool fdsets;            // argument 0 counts the descriptors of sets
  uint8_t lost_arg;       // wakes_by_memory, if lost_if holds: the time that nobody keeps
};

}  // namespace om
