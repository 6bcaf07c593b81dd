// SPDX-License-Identifier: Apache-2.0
//
// The memory of a Call, by its table row: what it sends, and whether what comes back can be written. Finds everything
// that rules a Call out before it takes its sequence number. Called by attempt() (forward.cc).
#include "libom/gate/gather.h"

#include "libom/abi/kernel.h"
#include "libom/gate/forward.h"
#include "libom/gate/user_memory.h"
#include "libom/safe/call_layout.h"

namespace om::gate {
namespace {

using safe::round8;

constexpr uint64_t kZeroPad[2] = {0, 0};

void add_piece(Ins& ins, uint64_t address, uint64_t bytes) {
  if (bytes == 0) return;
  ins.piece[ins.count++] = {address, bytes};
  ins.bytes += bytes;
}

void end_argument(Ins& ins) {
  const uint64_t pad = round8(ins.bytes) - ins.bytes;
  add_piece(ins, reinterpret_cast<uint64_t>(kZeroPad), pad);
}

// `cut`: transfers only the first kMaxTransfer bytes of a longer vector.
long add_iov(Ins& ins, Scratch& scratch, uint32_t arg, const uint64_t args[6], const ArgDesc& desc,
             bool cut, uint32_t& bad) {
  const uint64_t n = args[desc.len_arg];
  uint64_t& total = scratch.totals[arg];
  total = 0;
  const bool valid = n <= safe::kMaxIov && args[arg] != 0;
  const InsPiece head{reinterpret_cast<uint64_t>(&total), 8};
  add_piece(ins, head.address, head.bytes);
  if (!valid) return 0;
  for (uint64_t i = 0; i < n; i++) {
    k::Iovec v;
    if (!read_program(v, args[arg] + i * sizeof v)) {
      // Like the kernel, which transfers nothing without the whole vector.
      if (ins.piece[ins.count - 1].address != head.address) return kOnlyHome;
      ins.count--;
      ins.bytes -= 8;
      bad |= 1u << arg;
      return 0;
    }
    // The kernel checks all addresses before it transfers anything, even those of empty elements.
    constexpr uint64_t kUserEnd = 0x7fff'ffff'f000;
    if (static_cast<int64_t>(v.len) < 0 || v.base > kUserEnd) return kOnlyHome;
    if (v.len > kMaxTransfer - total) {
      if (!cut) return kTooLong;
      v.len = kMaxTransfer - total;
    }
    if (desc.len == LenKind::kIov) {
      add_piece(ins, v.base, v.len);
    } else if (v.len > 0 && (!is_writable(v.base) || !is_writable(v.base + v.len - 1))) {
      return kOnlyHome;
    }
    total += v.len;
  }
  end_argument(ins);
  return 0;
}

// Whether argument `i` is memory whose outputs state their length, or the word that states it, or memory that comes
// back in any case: if the call waits, a move does not preserve what a bad one of these changes.
bool is_delicate(const SyscallDesc& desc, uint32_t i) {
  if (safe::needs_deref(desc.args[i]) || (desc.args[i].flags & kArgOutAlways) != 0) return true;
  for (uint32_t b = 0; b < desc.nargs; b++) {
    const ArgDesc& a = desc.args[b];
    if (a.kind == ArgKind::kBuf && safe::needs_deref(a) && a.len_arg == i) return true;
  }
  return false;
}

}  // namespace

// Context: gate
long build_ins(const SyscallDesc& desc, const uint64_t args[6], Ins& ins, Scratch& scratch,
               bool cut, uint32_t& bad) {
  ins.count = 0;
  ins.bytes = 0;
  for (uint32_t i = 0; i < desc.nargs; i++) {
    const ArgDesc& a = desc.args[i];
    if (a.kind == ArgKind::kStr) {
      if (args[i] == 0) continue;
      // Without a NUL within the bound all of it travels: the kernel at home gives the right errno.
      long n = program_string(args[i], a.elem);
      if (n == -k::kENAMETOOLONG) n = a.elem;
      if (n < 0) {
        bad |= 1u << i;
        continue;
      }
      add_piece(ins, args[i], static_cast<uint64_t>(n));
      end_argument(ins);
    } else if (a.kind == ArgKind::kBuf && (a.len == LenKind::kIov || a.len == LenKind::kIovRet)) {
      const long r = add_iov(ins, scratch, i, args, a, cut, bad);
      if (r < 0) return r;
    } else if (a.kind == ArgKind::kBuf && args[i] != 0 && safe::goes_in(a) &&
               !safe::is_idle_length(desc, args, i)) {
      uint64_t deref = 0;
      if (safe::needs_deref(a)) {
        uint32_t v = 0;
        const bool known = args[a.len_arg] != 0 && read_program(v, args[a.len_arg]);
        if (!known && a.len_arg == i) {
          bad |= 1u << i;  // the argument is itself the unreadable word
          continue;
        }
        deref = v;
      }
      const uint64_t n = safe::cap_bytes(a, args, deref);
      if (n > 0 && !is_readable(args[i])) {
        bad |= 1u << i;
        continue;
      }
      if (n > kMaxTransfer) return kTooLong;
      if (safe::needs_deref(a)) {
        scratch.totals[i] = n;
        add_piece(ins, reinterpret_cast<uint64_t>(&scratch.totals[i]), 8);
      }
      add_piece(ins, args[i], n);
      end_argument(ins);
    }
  }
  return 0;
}

// Context: gate
long probe_outs(const SyscallDesc& desc, const uint64_t args[6], uint32_t& bad) {
  for (uint32_t i = 0; i < desc.nargs; i++) {
    const ArgDesc& a = desc.args[i];
    if (a.kind != ArgKind::kBuf || args[i] == 0 || !safe::comes_out(a) || a.len == LenKind::kIovRet)
      continue;
    if (safe::is_idle_length(desc, args, i) || (bad & 1u << i) != 0) continue;
    uint64_t n = 1;
    if (safe::needs_deref(a)) {
      uint32_t room = 0;
      if (args[a.len_arg] == 0 || !read_program(room, args[a.len_arg])) continue;
      if (static_cast<int32_t>(room) < 0)
        return kOnlyHome;  // an int to the kernel: EINVAL, or ignored
      n = room;
    } else {
      n = safe::cap_bytes(a, args, 0);
    }
    if (n == 0) continue;
    if (!is_writable(args[i])) {
      if (safe::goes_in(a)) return kOnlyHome;  // readable: the kernel finds out when it writes
      bad |= 1u << i;
      continue;
    }
    if (safe::needs_deref(a)) continue;
    if (n > kMaxTransfer) return kTooLong;
    if (a.len == LenKind::kRet && !is_writable(args[i] + n - 1)) return kOnlyHome;
  }
  if (bad != 0 && desc.home_fn != 0) return kOnlyHome;  // its home function accesses the memory
  for (uint32_t i = 0; i < desc.nargs && (desc.effects & kEffBlock) != 0; i++) {
    if ((bad & 1u << i) != 0 && is_delicate(desc, i)) return kOnlyHome;
  }
  return 0;
}

}  // namespace om::gate
