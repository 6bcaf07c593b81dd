// SPDX-License-Identifier: Apache-2.0
//
// How many bytes an argument of a table row has, on both sides of the wire. Gate and executor walk a row's
// arguments in the same order with these functions, so neither sends lengths that the other can compute:
//
//   ins:   per argument that goes in, its bytes, padded to 8; an iovec argument is preceded by one u64 total,
//          a value-result buffer by one u64 length
//   outs:  per argument that comes out, its bytes, padded to 8; a value-result buffer by one u64 length
#pragma once

#include <stdint.h>

#include "libom/abi/kernel.h"
#include "libom/abi/syscall_desc.h"

namespace om::safe {

constexpr uint64_t kMaxIov = 1024;          // UIO_MAXIOV
constexpr uint64_t kMaxDeref = 256 * 1024;  // a value-result buffer larger than this is cut

constexpr uint64_t round8(uint64_t n) { return (n + 7) & ~uint64_t{7}; }

inline bool goes_in(const ArgDesc& a) { return a.dir != Dir::kOut; }
inline bool comes_out(const ArgDesc& a) { return a.dir != Dir::kIn; }
inline bool needs_deref(const ArgDesc& a) {
  return a.len == LenKind::kDeref || a.len == LenKind::kDerefIn;
}
// Whether argument `i` is the length word of a value-result buffer that is NULL. The kernel ignores such a word, so
// whatever the program passed there counts as NULL.
inline bool is_idle_length(const SyscallDesc& desc, const uint64_t args[6], uint32_t i) {
  for (uint32_t b = 0; b < desc.nargs; b++) {
    const ArgDesc& a = desc.args[b];
    if (a.kind == ArgKind::kBuf && needs_deref(a) && a.len_arg == i) {
      return args[b] == 0 && (a.flags & kArgNullable) != 0;
    }
  }
  return false;
}
inline bool is_iov(const ArgDesc& a) {
  return a.kind == ArgKind::kBuf && (a.len == LenKind::kIov || a.len == LenKind::kIovRet);
}

// The kernel looks at the low 32 bits of int arguments only; the upper half of the register may hold anything.
// Context: any
inline void normalize_args(const SyscallDesc& desc, uint64_t args[6]) {
  for (uint32_t i = 0; i < desc.nargs; i++) {
    if (desc.args[i].kind != ArgKind::kVal) continue;
    switch (desc.args[i].type) {
      case ArgType::kI32:
        args[i] = static_cast<uint64_t>(static_cast<int64_t>(static_cast<int32_t>(args[i])));
        break;
      case ArgType::kU32:
      case ArgType::kFd:
      case ArgType::kMode:
      case ArgType::kSig:
      case ArgType::kCmd:
      case ArgType::kUid:
      case ArgType::kGid:
        args[i] = static_cast<uint32_t>(args[i]);
        break;
      case ArgType::kAtFd:
      case ArgType::kPid:
      case ArgType::kTid:
      case ArgType::kClock:
        args[i] = static_cast<uint64_t>(static_cast<int64_t>(static_cast<int32_t>(args[i])));
        break;
      case ArgType::kNone:
      case ArgType::kI64:
      case ArgType::kU64:
      case ArgType::kSize:
      case ArgType::kOff:
      case ArgType::kFlags:
      case ArgType::kPtr:
      case ArgType::kDev:
      case ArgType::kBytes:
      case ArgType::kPath:
      case ArgType::kStruct:
        break;
    }
  }
}

// Product that saturates: a hostile count must not wrap.
inline uint64_t times(uint64_t n, uint64_t elem, uint64_t plus) {
  if (n > (uint64_t{1} << 40)) n = uint64_t{1} << 40;
  return n * elem + plus;
}

// Bytes the call may touch. `deref` is the length word's value before the call (kDeref, kDerefIn). Not for
// iovecs. Counts that the kernel takes as 32 bits are cut to them by the type of the counting argument.
// Context: any
inline uint64_t cap_bytes(const ArgDesc& a, const uint64_t args[6], uint64_t deref) {
  switch (a.len) {
    case LenKind::kConst:
      return a.elem;
    case LenKind::kArg:
    case LenKind::kRet:
      return times(args[a.len_arg], a.elem, a.plus);
    case LenKind::kDeref:
    case LenKind::kDerefIn:
      return (deref < kMaxDeref ? deref : kMaxDeref) + a.plus;
    case LenKind::kFdSet: {
      const auto n = static_cast<uint32_t>(args[0]);
      return n > (1u << 20) ? (1u << 17) : (uint64_t{n} + 63) / 64 * 8;
    }
    case LenKind::kIov:
    case LenKind::kIovRet:
      break;
  }
  return 0;
}

// Whether this output comes back for a call that returned `ret`.
// Context: any
inline bool copied_out(const ArgDesc& a, long ret) {
  if (a.flags & kArgOutAlways) return true;
  if (a.flags & kArgOutEintr) return ret == -k::kEINTR;
  if (a.flags & kArgOutPositive) return ret > 0;
  if (a.flags & kArgOutZeroOnly) return ret == 0;
  if (a.len == LenKind::kRet || a.len == LenKind::kIovRet)
    return ret > 0 || (ret == 0 && a.plus > 0);
  return ret >= 0;
}

// Bytes that come back. Preconditions: copied_out(a, ret); not kDeref (its length travels).
// Context: any
inline uint64_t used_bytes(const ArgDesc& a, const uint64_t args[6], long ret) {
  if (a.len == LenKind::kIovRet) return ret > 0 ? static_cast<uint64_t>(ret) : 0;
  if (a.len != LenKind::kRet) return cap_bytes(a, args, 0);
  const auto n = static_cast<uint64_t>(ret);
  return times(n < args[a.len_arg] ? n : args[a.len_arg], a.elem, a.plus);
}

}  // namespace om::safe
