// SPDX-License-Identifier: Apache-2.0
//
// The shape of one row of the system call table (syscalls.tbl) after tools/gen_syscalls.py has compiled
// it. The gate (marshals a Call in the body), the stub (validates and executes it at home), the deputy
// (finds the memory a blocked call still uses) and the printers all read these rows, so the meaning of a
// call's arguments is defined once.
//
// Included by freestanding code: PODs and constants only.
#pragma once

#include <stdint.h>

#include "libom/abi/wait_desc.h"

namespace om {

// Where a call is served while the program is away. See libom/README.md, "A forwarded call".
enum class Route : uint8_t {
  kUnknown = 0,  // not in the kernel headers this was built with: ENOSYS, counted
  kLocal = 1,    // in the body, by the gate function named in the row
  kVirt = 2,     // in the body, from a cached value, by the gate function named in the row
  kFwd = 3,      // at home, by the generic marshaller
  kSplit = 4,    // hand-written on at least one side: gate= and/or home= name the functions
  kHome = 5,     // the process comes home first, then the call runs natively
  kDeny = 6,     // errno from the row, only while away
};

enum class Level : uint8_t { kNone = 0, kPart = 1, kFull = 2 };

// The kernel's answer when a signal interrupts the blocking call (include/linux/errno.h).
enum class Restart : uint8_t {
  kNone = 0,  // does not block, or blocks uninterruptibly
  kSys,       // -512 ERESTARTSYS: restarts with SA_RESTART, else EINTR
  kNoIntr,    // -513 ERESTARTNOINTR: always restarts
  kNoHand,    // -514 ERESTARTNOHAND: EINTR when a handler ran, restarts otherwise
  kBlock,     // -516 ERESTART_RESTARTBLOCK: the kernel keeps the remaining time
  kEintr,     // -4: EINTR directly, the remaining time is lost
};

// Row effects, a bit set.
constexpr uint32_t kEffFd = 1u << 0;     // creates, closes or changes descriptors
constexpr uint32_t kEffVm = 1u << 1;     // changes the address space
constexpr uint32_t kEffSig = 1u << 2;    // changes signal state
constexpr uint32_t kEffProc = 1u << 3;   // changes process state (ids, limits, session, ...)
constexpr uint32_t kEffBlock = 1u << 4;  // may wait for another party
constexpr uint32_t kEffTime = 1u << 5;   // reads or arms clocks
constexpr uint32_t kEffPure =
    1u << 6;  // no effect outside the process: not "effectful" for rollback
constexpr uint32_t kEffNewFd = 1u << 7;  // the result is a new descriptor

enum class ArgKind : uint8_t {
  kNone = 0,
  kVal,  // passed unchanged
  kStr,  // read-only: at most `elem` bytes, up to and including the first NUL. Without a NUL among them all
  // `elem` travel: no kernel reads further, and home's returns the call's own error
  kBuf,  // memory described by dir / len / len_arg / elem / plus
};

enum class Dir : uint8_t { kIn = 1, kOut = 2, kInOut = 3 };

// How many bytes a kBuf argument has. "cap" is what may be touched, "used" what is copied back. A counting
// argument has the width of its ArgType: for kI32 and kU32 only the low half counts; negative counts are 0.
enum class LenKind : uint8_t {
  kConst,  // elem bytes
  kArg,    // args[len_arg] * elem + plus bytes
  kRet,  // cap = args[len_arg] * elem + plus; used = min(ret, args[len_arg]) * elem + plus; out only
  kDeref,  // cap = *(uint32_t*)args[len_arg] before; used = min(cap, the same word after); out or inout.
  // If the buffer is kArgNullable and NULL, the word is not touched and passed as NULL
  kDerefIn,  // cap = *(uint32_t*)args[len_arg] + plus; len_arg may be the buffer itself; in only
  kFdSet,    // ((args[0] + 63) / 64) * 8 bytes
  kIov,      // array of struct iovec [args[len_arg]], the memory it names, gathered (in)
  kIovRet,   // the same, scattered (out), used = ret bytes
};

// The role of a scalar (for the printer, the validator and tests); for kBuf the element type.
enum class ArgType : uint8_t {
  kNone = 0,
  kI32,
  kU32,
  kI64,
  kU64,
  kFd,
  kAtFd,
  kPid,
  kTid,
  kUid,
  kGid,
  kSize,
  kOff,
  kFlags,
  kMode,
  kSig,
  kPtr,
  kCmd,
  kClock,
  kDev,
  kBytes,
  kPath,
  kStruct,
};

constexpr uint8_t kArgNullable = 1u << 0;     // a NULL pointer is passed on as NULL
constexpr uint8_t kArgOutPositive = 1u << 1;  // copied out only when ret > 0
constexpr uint8_t kArgOutEintr = 1u << 2;     // copied out only when ret == -EINTR
constexpr uint8_t kArgOutAlways = 1u << 3;    // copied out whatever ret is
constexpr uint8_t kArgOutZeroOnly = 1u << 4;  // copied out only when ret == 0

struct ArgDesc {
  ArgKind kind;
  ArgType type;
  Dir dir;
  LenKind len;
  uint8_t len_arg;
  uint8_t flags;
  uint16_t elem;
  uint16_t plus;
};

enum class RetType : uint8_t { kErr, kFd, kSize, kCount, kPid, kPtr, kVal };

// object=: which uses of a call are possible on a descriptor of a memory object that has travelled (memory.h,
// MemoryObject). Any other use brings the process home.
enum class ObjectUse : uint8_t {
  kNone,
  kAny,     // concerns descriptor, size or times only: always possible
  kOffset,  // argument 2 is a whence that needs no contents
  kRoom,    // the mode in argument 1, the range in 2 and 3: within the object's size
};

// Names are in gen/syscalls_names.h: libom needs none, and without pointers the table needs no relocation.
struct SyscallDesc {
  Route route;  // kUnknown in holes of the number space
  Level level;
  Restart restart;
  RetType ret;
  uint8_t nargs;
  uint8_t gate_fn;  // index into the generated gate function table, 0 = none
  uint8_t home_fn;  // index into the generated home function table, 0 = none
  uint8_t deny_errno;
  uint8_t sub;           // number of the sub-table that describes the call by command, 0 = none
  uint8_t cmd_arg;       // its key: this argument, or this and the next as level << 16 | option
  uint8_t sub_arg;       // the first argument that the sub-table's rows describe
  uint8_t wait;          // index into kWaits (wait_desc.h)
  uint8_t memory_files;  // bit i: argument i is a file that may show the program's own memory
  uint32_t effects;
  ArgDesc args[6];
  ObjectUse object;
};

// One row of a sub-table (ioctls.tbl, fcntls.tbl, prctls.tbl, ...): what the command does with the arguments
// from SyscallDesc::sub_arg on. Their len_arg counts the system call's arguments, as in SyscallDesc.
struct CommandDesc {
  uint32_t cmd;
  Route route;    // kFwd, kHome, kDeny or kLocal
  uint8_t nargs;  // arguments after the command that are used (prctl: up to 4)
  uint8_t deny_errno;
  uint32_t effects;
  ArgDesc args[4];  // args[0] is the call's argument number SyscallDesc::sub_arg
  ObjectUse object;
};

}  // namespace om
