// SPDX-License-Identifier: Apache-2.0
//
// From a Call to kernel arguments and back. This is also the validator: whatever the row says is memory gets
// an address of ours, with at least the bytes the kernel may touch; a Call that has fewer input bytes than
// its own arguments demand is malformed. Numbers are passed on as the program's: it may do at home what it
// always could.
#include "libom/safe/marshal.h"

#include "libom/abi/kernel.h"
#include "libom/safe/atomic.h"
#include "libom/safe/image.h"
#include "libom/safe/mem.h"
#include "libom/safe/numbers.h"
#include "libom/safe/syscall.h"
#include "libom/stub/stub.h"

namespace om::stub {
namespace {

using safe::round8;
using safe::sys;

constexpr uint64_t kBounceOffset = 0x4000;  // of the send area, behind the Return's head
constexpr uint64_t kSlotBounce = kSlotSendSize - kBounceOffset;
constexpr uint64_t kMaxBounce = kMaxCallBytes;

uint64_t address(const void* p) { return reinterpret_cast<uint64_t>(p); }

bool fits_int32(const ArgDesc& counting) { return counting.type == ArgType::kI32; }

// Room for an output. A count beyond what we hold is cut, with the argument that states it, unless the kernel
// refuses it anyway (negative).
uint64_t out_room(HomeCall& c, uint32_t i, uint64_t deref) {
  const ArgDesc& a = c.desc->args[i];
  const uint64_t* args = c.exec->exec_args;
  uint64_t cap = safe::cap_bytes(a, args, deref);
  if (cap <= kMaxBounce / 2) return cap;
  if (a.len == LenKind::kArg || a.len == LenKind::kRet) {
    const bool refused =
        fits_int32(c.desc->args[a.len_arg]) && static_cast<int64_t>(args[a.len_arg]) < 0;
    const uint64_t n = (kMaxBounce / 2 - a.plus) / (a.elem ? a.elem : 1);
    if (!refused) c.exec->exec_args[a.len_arg] = n;
    return n * a.elem + a.plus;
  }
  return kMaxBounce / 2;
}

struct Deref {
  uint64_t value[6];
};

// A descriptor set has at most the bits that cap_bytes() counts: no process has more descriptors away.
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
      if (deref.value[i] > kMaxBounce / 2) return -k::kEPROTO;
      if (c.args[i] == 0) {
        // No vector: what came with it must never be taken for one.
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
        // Its length word is an argument of its own, further on: the gate says the length here as well.
        const uint8_t* word = take_ins(c, 8);
        if (word == nullptr) return -k::kEPROTO;
        n = safe::load<uint64_t>(word);
        if (n > safe::kMaxDeref + 0xffff) return -k::kEPROTO;
      } else {
        n = safe::cap_bytes(a, c.args, 0);
        if (n > kMaxBounce) return -k::kEPROTO;
      }
      deref.value[i] = n;
      const uint8_t* data = take_ins(c, n);
      if (data == nullptr) return -k::kEPROTO;
      if (safe::needs_deref(a) && a.len_arg == i) {
        // It states its own length: the kernel must not believe in more than has come.
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

namespace {

void unmap(uint64_t& address, uint64_t& bytes) {
  if (bytes == 0) return;
  sys(kNr_munmap, address, bytes);
  safe::fetch_add(&g_home.private_bytes, -bytes);
  address = bytes = 0;
}

// Mapping and unmapping costs more than sending what is in it.
void keep_or_unmap(uint64_t& address, uint64_t& bytes) {
  if (bytes > kKeptEach || safe::load_acquire(&g_home.private_bytes) > kKeptAll)
    unmap(address, bytes);
}

}  // namespace

// Context: exec
uint8_t* map_private(HomeThread* t, PrivatePlace place, uint64_t bytes) {
  constexpr long kHow = k::kProtRead | k::kProtWrite;
  constexpr long kWhat = k::kMapPrivate | k::kMapAnonymous | k::kMapFixedNoreplace;
  uint64_t& address = place == kForOutputs ? t->bounce_address : t->message_address;
  uint64_t& mapped = place == kForOutputs ? t->bounce_bytes : t->message_bytes;
  if (bytes > mapped) {
    unmap(address, mapped);
    const uint64_t room = (bytes + kPageSize - 1) & ~(kPageSize - 1);
    // At no other place: what the body maps meanwhile is mapped over what is there.
    if (room > kPrivateEach || !has_private(g_home.arena, g_home.nslots)) return nullptr;
    const uint64_t at = private_address(g_home.arena, t->slot, place);
    const long r = sys(kNr_mmap, at, room, kHow, kWhat, -1, 0);
    if (r < 0 && r > -4096) return nullptr;
    address = static_cast<uint64_t>(r);
    mapped = room;
    safe::fetch_add(&g_home.private_bytes, room);
  }
  return reinterpret_cast<uint8_t*>(address);
}

// Context: exec
long leave_it_to_program(HomeCall& c) {
  c.exec->ret_flags |= kRetRestart | kRetHome;
  return -k::kEINTR;
}

// Context: exec
uint8_t* bounce(HomeThread* t, uint64_t bytes) {
  if (bytes > kMaxBounce) return nullptr;
  t->call.bounced = bytes > kSlotBounce;
  uint8_t* p = slot_base(t) + kSlotSend + kBounceOffset;
  if (t->call.bounced) p = map_private(t, kForOutputs, bytes);
  if (p == nullptr) return nullptr;
  safe::set_bytes(p, 0, bytes < kPageSize ? bytes : kPageSize);
  return p;
}

// Context: exec
void release_bounce(HomeThread* t) {
  t->call.bounced = 0;
  keep_or_unmap(t->bounce_address, t->bounce_bytes);
}

// Context: exec
void release_message(HomeThread* t) { keep_or_unmap(t->message_address, t->message_bytes); }

// Context: exec
void unmap_private(HomeThread* t) {
  t->call.bounced = 0;
  unmap(t->bounce_address, t->bounce_bytes);
  unmap(t->message_address, t->message_bytes);
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
  // The kernel must not believe in more room than there is.
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

// Context: exec
bool hits_libom(uint64_t at, uint64_t bytes) {
  return touches(at, bytes, safe::image_lo(), safe::image_hi()) ||
         touches_lent(at, bytes, g_home.arena, g_home.nslots);
}

// Context: exec
bool read_memory(const HomeThread* t, void* to, uint64_t from, uint64_t bytes) {
  if (!t->call.transplanted) {
    safe::copy_bytes(to, reinterpret_cast<void*>(from), bytes);
    return true;
  }
  return read_program(to, from, bytes);
}

// Context: exec
bool write_memory(const HomeThread* t, uint64_t to, const void* from, uint64_t bytes) {
  if (t->call.transplanted) return write_program(to, from, bytes);
  safe::copy_bytes(reinterpret_cast<void*>(to), from, bytes);
  return true;
}

// Context: exec
bool read_program(void* to, uint64_t from, uint64_t bytes) {
  if (hits_libom(from, bytes)) return false;
  // By a system call: the memory may have been unmapped meanwhile.
  k::Iovec local{address(to), bytes}, remote{from, bytes};
  const long pid = sys(kNr_getpid);
  return sys(kNr_process_vm_readv, pid, &local, 1, &remote, 1, 0) == static_cast<long>(bytes);
}

// Context: exec
bool write_program(uint64_t to, const void* from, uint64_t bytes) {
  if (hits_libom(to, bytes)) return false;
  k::Iovec local{address(from), bytes}, remote{to, bytes};
  const long pid = sys(kNr_getpid);
  return sys(kNr_process_vm_writev, pid, &local, 1, &remote, 1, 0) == static_cast<long>(bytes);
}

namespace {

// Gathers `bytes` of an iovec's memory.
bool read_iov(HomeThread* t, uint8_t* to, uint64_t iov, uint64_t count, uint64_t bytes) {
  for (uint64_t i = 0; i < count && bytes > 0; i++) {
    k::Iovec v;
    if (!read_memory(t, &v, iov + i * sizeof v, sizeof v)) return false;
    const uint64_t n = v.len < bytes ? v.len : bytes;
    if (!read_memory(t, to, v.base, n)) return false;
    to += n;
    bytes -= n;
  }
  return bytes == 0;
}

// Bytes an output has now; false when it does not come back.
bool out_length(HomeThread* t, const SyscallDesc& desc, uint32_t i, uint64_t& n) {
  const HomeExec& e = t->call;
  const ArgDesc& a = desc.args[i];
  if (a.kind != ArgKind::kBuf || e.program_args[i] == 0 || !safe::comes_out(a) || is_bad(e, i))
    return false;
  if (!safe::copied_out(a, e.result) || safe::is_idle_length(desc, e.program_args, i)) return false;
  if (safe::needs_deref(a)) {
    uint32_t word = 0;
    if (e.exec_args[a.len_arg] != 0 && !is_bad(e, a.len_arg))
      read_memory(t, &word, e.exec_args[a.len_arg], 4);
    n = word < e.deref_cap[i] ? word : e.deref_cap[i];
  } else {
    n = safe::used_bytes(a, e.exec_args, e.result);
  }
  return true;
}

}  // namespace

// Context: exec
void pack(HomeThread* t, const SyscallDesc& desc) {
  HomeExec& e = t->call;
  t->outs_address = t->outs_bytes = 0;
  if (e.ret_flags & kRetRestart) return;
  // In place: every output moves towards the front of the memory it lies in, or, for a transplanted call,
  // into fresh bounce memory.
  // Lengths once: a transplanted call's are in memory of the program, which others may write meanwhile.
  uint64_t total = 0, length[6];
  bool comes[6];
  for (uint32_t i = 0; i < desc.nargs; i++) {
    comes[i] = out_length(t, desc, i, length[i]);
    if (comes[i]) total += 8 + round8(length[i]);
  }
  if (total == 0) return;
  uint8_t* const base = e.transplanted   ? bounce(t, total)
                        : e.bounced != 0 ? reinterpret_cast<uint8_t*>(t->bounce_address)
                                         : slot_base(t) + kSlotSend + kBounceOffset;
  if (base == nullptr) {
    e.result = -k::kEFAULT;
    return;
  }
  uint8_t* to = base;
  for (uint32_t i = 0; i < desc.nargs; i++) {
    if (!comes[i]) continue;
    const ArgDesc& a = desc.args[i];
    const uint64_t n = length[i];
    const bool counted = safe::needs_deref(a);
    bool ok;
    if (a.len == LenKind::kIovRet) {
      if (e.transplanted) {
        ok = read_iov(t, to, e.exec_args[i], e.exec_args[a.len_arg], n);
      } else {
        const auto iov = safe::load<k::Iovec>(reinterpret_cast<void*>(e.exec_args[i]));
        memmove(to, reinterpret_cast<void*>(iov.base), n);
        ok = true;
      }
    } else if (e.transplanted) {
      ok = read_memory(t, to + (counted ? 8 : 0), e.exec_args[i], n);
    } else {
      // Outputs were laid out in this order, none nearer to the front than it goes now.
      memmove(to + (counted ? 8 : 0), reinterpret_cast<void*>(e.exec_args[i]), n);
      ok = true;
    }
    if (counted) safe::store(to, n);
    if (!ok) {
      e.result = -k::kEFAULT;
      return;
    }
    to += (counted ? 8 : 0) + n;
    for (uint64_t pad = round8(n) - n; pad > 0; pad--) *to++ = 0;
  }
  t->outs_address = address(base);
  t->outs_bytes = static_cast<uint64_t>(to - base);
}

}  // namespace om::stub
