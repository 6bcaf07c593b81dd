// SPDX-License-Identifier: Apache-2.0
//
// How a call that may wait is cut, timed, masked and split: the attributes of its row (rest=, until=, mask=, pieces=,
// home-if=, wakes= in syscalls.tbl) after tools/gen_syscalls.py has compiled them. Look-ups for particular arguments
// are in waiting.h.
//
// Included by freestanding code: PODs and constants only.
#pragma once

#include <stdint.h>

namespace om {

// Whether an attribute holds, depending on an argument of the call.
struct Condition {
  enum Kind : uint8_t {
    kNever = 0,  // the row does not have the attribute
    kAlways,
    kAnyOf,   // one of `bits` is set
    kNoneOf,  // none of `bits` is set
    kEquals,  // the argument is `bits`, sign-extended
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

// rest=: how the arguments describe the rest of a transfer that a stop has cut.
enum class Shape : uint8_t {
  kNone,      // no transfer, or one that may return short for other reasons, too
  kBuffer,    // buffer in argument 1, count in `count` (2)
  kVector,    // iovec in argument 1, their number in 2
  kMessage,   // msghdr in argument 1
  kMessages,  // mmsghdr in argument 1, their number in 2: the answer counts messages
  kCount,     // the kernel advances by itself; count in `count`
};

// until=: the kind of timeout among the call's own arguments.
enum class Timeout : uint8_t {
  kNone,
  kMillis,    // relative, an int; an interruption loses the time left
  kTimespec,  // relative, a struct timespec; an interruption loses the time left
  kLeft,      // relative; the kernel writes the time left (16 bytes) to the argument
  kKernel,    // relative; the kernel keeps the time left (ERESTART_RESTARTBLOCK)
  kAbsolute,
};

// until=socket(...): the direction whose timeout (SO_RCVTIMEO, SO_SNDTIMEO) ends the call if it is on a socket.
enum class SocketSide : uint8_t { kNone, kReceives, kSends };

// mask=: the signal mask of the call while it waits.
enum class MaskAt : uint8_t {
  kNone,
  kHere,    // the argument points at it
  kBehind,  // the argument points at a pointer to it
};

// pieces=: how a transfer too long for one Call is split.
enum class Pieces : uint8_t {
  kNone,     // not at all
  kFile,     // by the file's offset, or that in argument `offset`
  kMessage,  // message flags are in argument `message_flags`
};

struct WaitDesc {
  Condition rest_if, socket_if, pieces_if, home_if, lost_if;
  Shape rest;
  uint8_t count;    // argument: bytes, or elements, to transfer
  uint8_t to;       // kCount: argument, the descriptor written to
  uint16_t single;  // kMessages: the call for one message
  Timeout timeout;
  uint8_t timeout_arg;
  uint8_t between;  // argument: a struct timespec that is checked after each message; 0: none
  SocketSide socket;
  uint16_t at_once;       // the call that does the same without waiting
  uint8_t at_once_flags;  // its argument with MSG_DONTWAIT; 0: it has none
  bool at_once_wraps;     // its argument 1 is a msghdr with the vector in it
  uint8_t expired;        // errno when the time is up
  MaskAt mask;
  uint8_t mask_arg;
  Pieces pieces;
  bool pieces_vector;  // arguments 1, 2 are an iovec and their number; else a buffer and its length
  uint8_t offset;      // argument: the offset, unless it is -1; 0: none
  uint8_t message_flags;  // argument; 0: none
  bool wakes_by_memory;   // it waits for a word of the program's memory
  bool fdsets;            // argument 0 counts the descriptors of sets
  uint8_t lost_arg;       // wakes_by_memory, if lost_if holds: the timeout that nobody keeps
};

}  // namespace om
