// SPDX-License-Identifier: Apache-2.0
//
// From the results of a kernel call to the outputs of a Return.
#include "libom/stub/pack.h"

#include "libom/abi/kernel.h"
#include "libom/safe/call_layout.h"
#include "libom/safe/mem.h"
#include "libom/stub/executor_memory.h"
#include "libom/stub/program_memory.h"
#include "libom/stub/stub.h"

namespace om::stub {

using safe::round8;

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

// Bytes that an output has now; false if it does not come back.
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
  // Read lengths only once: a transplanted call's are in the program's memory, which others may write meanwhile.
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
      // Outputs were laid out in this order, none nearer to the front than its place now.
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
  t->outs_address = reinterpret_cast<uint64_t>(base);
  t->outs_bytes = static_cast<uint64_t>(to - base);
}

}  // namespace om::stub
