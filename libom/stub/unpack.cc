// SPDX-License-Identifier: Apache-2.0
//
// From a Call to kernel arguments. This is also the validator: whatever the row calls memory gets an address of
// ours, with at least the bytes that the kernel may touch; a Call with fewer input bytes than its own arguments
// demand is malformed. Numbers are passed on unchanged: the program may do at home what it always could.
#include "libom/stub/unpack.h"

#include "libom/abi/kernel.h"
#include "libom/safe/call_layout.h"
#include "libom/safe/mem.h"
#include "libom/stub/executor_memory.h"
#include "libom/stub/stub.h"

namespace om::stub {
namespace {

using safe::round8;

uint64_t address(const void* p) { return reinterpret_cast<uint64_t>(p); }

bool fits_int32(const ArgDesc& counting) { return counting.type == ArgType::kI32; }

// Room for an output. Cuts a count beyond what we can hold, together with the argument that states it, unless the
// kernel refuses it anyway (negative).
uint64_t out_room(HomeCall& c, uint32_t i, uint64_t deref) {
  const ArgDesc& a = c.desc->args[i];
  const uint64_t* args = c.exec->exec_args;
  uint64_t cap = safe::cap_bytes(a, args, deref);
  if (cap <= kMaxCallBytes / 2) return cap;
  if (a.len == LenKind::kArg || a.len == LenKind::kRet) {
    const bool refused =
        fits_int32(c.desc->args[a.len_arg]) && static_cast<int64_t>(args[a.len_arg]) < 0;
    const uint64_t n = (kMaxCallBytes / 2 - a.plus) / (a.elem ? a.elem : 1);
    if (!refused) c.exec->exec_args[a.len_arg] = n;
    return n * a.elem + a.plus;
  }
  return kMaxCallBytes / 2;
}

struct Deref {
  uint64_t value[6];
};

// Limits descriptor sets to the bits that cap_bytes() counts: no process has more descriptors away.
void limit_sets(HomeCall& c) {
  constexpr uint32_t kMaxBits = 1u << 20;
  for (uint32_t i = 0; i < c.desc->nargs; i++) {
    if (c.desc->args[i].kind != ArgKind::kBuf || c.desc->args[i].len != LenKind::kFdSet) continue;
    const auto n = static_cast<int32_t>(c.exec->exec_args[0]);
    if (n > static_cast<int32_t>(kMaxBits)) c.exec->exec_args[0] = kMaxBits;
  }
}

// Pass 1: inputs, in the order of the wire.
long unpack_ins(HomeCall& c, Deref& deref) {
  HomeExec& e = *c.exec;
  for (uint32_t i = 0; i < c.desc->nargs; i++) {
    const ArgDesc& a = c.desc->args[i];
    e.exec_args[i] = safe::is_idle_length(*c.desc, c.args, i) ? 0 : c.args[i];
    if (a.kind != ArgKind::kVal && a.kind != ArgKind::kNone && is_bad(e, i)) {
      e.exec_args[i] = bad_pointer(c.thread, c.args[i]);
      continue;
    }
    if (e.exec_args[i] == 0) {
      if (!safe::is_iov(a)) continue;
    }
    if (a.kind == ArgKind::kStr) {
      const uint8_t* s = c.ins + c.ins_used;
      uint64_t n = 0;
      const uint64_t left = c.ins_bytes - c.ins_used;
      while (n < left && n < a.elem && s[n] != 0) n++;
      if (n == left && n < a.elem) return -k::kEPROTO;
      if (n < a.elem) n++;  // with its NUL; a string without one fills the bound
      e.exec_args[i] = address(take_ins(c, n));
    } else if (safe::is_iov(a)) {
      const uint8_t* total = take_ins(c, 8);
      if (total == nullptr) return -k::kEPROTO;
      deref.value[i] = safe::load<uint64_t>(total);
      if (deref.value[i] > kMaxCallBytes / 2) return -k::kEPROTO;
      if (c.args[i] == 0) {
        // No vector: nothing that came with it may be taken for one.
        if (deref.value[i] != 0) return -k::kEPROTO;
        continue;
      }
      if (a.len == LenKind::kIov) {
        const uint8_t* data = take_ins(c, deref.value[i]);
        if (data == nullptr) return -k::kEPROTO;
        e.exec_args[i] = address(data);
      }
    } else if (a.kind == ArgKind::kBuf && safe::goes_in(a)) {
      uint64_t n = 0;
      if (safe::needs_deref(a)) {
        // Its length word is a separate argument, further on: the gate states the length here as well.
        const uint8_t* word = take_ins(c, 8);
        if (word == nullptr) return -k::kEPROTO;
        n = safe::load<uint64_t>(word);
        if (n > safe::kMaxDeref + 0xffff) return -k::kEPROTO;
      } else {
        n = safe::cap_bytes(a, c.args, 0);
        if (n > kMaxCallBytes) return -k::kEPROTO;
      }
      deref.value[i] = n;
      const uint8_t* data = take_ins(c, n);
      if (data == nullptr) return -k::kEPROTO;
      if (safe::needs_deref(a) && a.len_arg == i) {
        // It states its own length: the kernel must not see more than has arrived.
        if (n < 4 || n < a.plus) return -k::kEINVAL;
        auto* stated = const_cast<uint8_t*>(data);
        if (safe::load<uint32_t>(stated) > n - a.plus)
          safe::store(stated, static_cast<uint32_t>(n - a.plus));
      }
      e.exec_args[i] = address(data);
    }
  }
  return 0;
}

}  // namespace

// Context: exec
const uint8_t* take_ins(HomeCall& c, uint64_t bytes) {
  const uint64_t padded = round8(bytes);
  if (padded > c.ins_bytes - c.ins_used || padded < bytes) return nullptr;
  const uint8_t* p = c.ins + c.ins_used;
  c.ins_used += padded;
  return p;
}

// Context: exec
long leave_it_to_program(HomeCall& c) {
  c.exec->ret_flags |= kRetRestart | kRetHome;
  return -k::kEINTR;
}

// Context: exec
long unpack(HomeCall& c) {
  HomeExec& e = *c.exec;
  Deref deref{};
  long r = unpack_ins(c, deref);
  if (r != 0) return r;
  limit_sets(c);
  // Pass 2: outputs. First how much, then where.
  uint64_t room = 0;
  uint64_t cap[6] = {};
  for (uint32_t i = 0; i < c.desc->nargs; i++) {
    const ArgDesc& a = c.desc->args[i];
    if (a.kind != ArgKind::kBuf || c.args[i] == 0 || is_bad(e, i)) continue;
    if (safe::is_iov(a)) {
      cap[i] = a.len == LenKind::kIovRet ? deref.value[i] : 0;
      room += sizeof(k::Iovec) + round8(cap[i]) + 8;
      continue;
    }
    if (!safe::comes_out(a) || e.exec_args[i] == 0) continue;
    uint64_t length = deref.value[i];
    if (safe::needs_deref(a) && !safe::goes_in(a)) {
      const uint64_t word = e.exec_args[a.len_arg];
      const bool known = c.args[a.len_arg] != 0 && !is_bad(e, a.len_arg);
      length = known ? safe::load<uint32_t>(reinterpret_cast<void*>(word)) : 0;
    }
    cap[i] = out_room(c, i, length);
    room += round8(cap[i]) + 8;
  }
  if (room == 0) return 0;
  uint8_t* p = bounce(c.thread, room + 64);
  if (p == nullptr) return leave_it_to_program(c);
  for (uint32_t i = 0; i < c.desc->nargs; i++) {
    const ArgDesc& a = c.desc->args[i];
    if (a.kind != ArgKind::kBuf || c.args[i] == 0 || is_bad(e, i)) continue;
    if (safe::is_iov(a)) {
      auto* iov = reinterpret_cast<k::Iovec*>(p);
      p += sizeof *iov;
      if (a.len == LenKind::kIov) {
        *iov = {e.exec_args[i], deref.value[i]};
      } else {
        *iov = {address(p), cap[i]};
        p += round8(cap[i]);
      }
      e.exec_args[i] = address(iov);
      // One vector stands for the program's; counts that the kernel refuses stay refused.
      if (c.args[a.len_arg] >= 1 && c.args[a.len_arg] <= safe::kMaxIov) e.exec_args[a.len_arg] = 1;
      continue;
    }
    if (!safe::comes_out(a) || e.exec_args[i] == 0) continue;
    if (safe::needs_deref(a)) p += 8;  // pack() puts the length in front
    if (safe::goes_in(a)) {
      const uint64_t n = deref.value[i] < cap[i] ? deref.value[i] : cap[i];
      safe::copy_bytes(p, reinterpret_cast<void*>(e.exec_args[i]), n);
    }
    e.exec_args[i] = address(p);
    p += round8(cap[i]);
  }
  // The kernel must not see more room than there is.
  for (uint32_t i = 0; i < c.desc->nargs; i++) {
    const ArgDesc& a = c.desc->args[i];
    if (a.kind != ArgKind::kBuf || c.args[i] == 0 || !safe::needs_deref(a) ||
        c.args[a.len_arg] == 0)
      continue;
    if (is_bad(e, i) || is_bad(e, a.len_arg)) continue;
    e.deref_cap[i] = cap[i];
    auto* word = reinterpret_cast<void*>(e.exec_args[a.len_arg]);
    if (safe::load<uint32_t>(word) > cap[i]) safe::store(word, static_cast<uint32_t>(cap[i]));
  }
  return 0;
}

}  // namespace om::stub
