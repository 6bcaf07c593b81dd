// SPDX-License-Identifier: Apache-2.0
//
// Home functions of rows that need more than the generic way: they hide libom's own descriptors, keep the
// program's dispositions in a table while ours are installed, and make the address space follow the body's.
#include "libom/abi/kernel.h"
#include "libom/safe/atomic.h"
#include "libom/safe/call_layout.h"
#include "libom/safe/lock.h"
#include "libom/safe/mem.h"
#include "libom/safe/numbers.h"
#include "libom/safe/syscall.h"
#include "libom/stub/deputy_socket.h"
#include "libom/stub/descriptor.h"
#include "libom/stub/drop.h"
#include "libom/stub/execute.h"
#include "libom/stub/executor_memory.h"
#include "libom/stub/functions.h"
#include "libom/stub/mirror.h"
#include "libom/stub/objects.h"
#include "libom/stub/pack.h"
#include "libom/stub/program_memory.h"
#include "libom/stub/signal.h"
#include "libom/stub/steady_file.h"
#include "libom/stub/stub.h"
#include "libom/stub/unpack.h"
#include "libom/stub/window.h"

namespace om::stub {
namespace {

using safe::sys;

uint64_t address(const void* p) { return reinterpret_cast<uint64_t>(p); }

long mirror(HomeCall& c, uint64_t at, uint64_t len) {
  if (hits_libom(at, len)) return -k::kEINVAL;
  MirrorCall m{c.exec->nr, 0, {}};
  for (int i = 0; i < 6; i++) m.args[i] = c.args[i];
  return mirror_call(m, (c.wire_flags & kCallWaited) != 0);
}

// Removes entries that name our descriptors. Bytes left.
uint64_t hide_entries(uint8_t* buffer, uint64_t bytes, uint32_t name_at) {
  uint64_t in = 0, out = 0;
  while (in + name_at < bytes) {
    const auto reclen = safe::load<uint16_t>(buffer + in + 16);
    if (reclen == 0 || in + reclen > bytes) break;
    uint64_t number;
    const bool ours =
        parse_number(reinterpret_cast<char*>(buffer + in + name_at), number) && is_ours(number);
    if (!ours) {
      if (in != out) memmove(buffer + out, buffer + in, reclen);
      out += reclen;
    }
    in += reclen;
  }
  return out;
}

// Whether a limit of descriptor numbers would let the program open libom's own (fill_row).
bool reaches_our_numbers(uint64_t limit) {
  return g_home.row_is_full == 0 && limit > static_cast<uint64_t>(g_home.fd_base);
}

// Whether threads could no longer get channels under this hard limit.
bool cuts_our_numbers(uint64_t hard) {
  return hard <= static_cast<uint64_t>(g_home.fd_base) + g_home.nslots;
}

}  // namespace

// Context: exec
long home_close(HomeCall& c) { return generic(c); }
// Context: exec
long home_dup2(HomeCall& c) { return generic(c); }
// Context: exec
long home_dup3(HomeCall& c) { return generic(c); }

// The body's stack can have more room than it had (gate_rlimit), not less.
// Context: exec
long home_rlimit(HomeCall& c) {
  constexpr uint32_t kStack = 3, kNofile = 7;
  HomeExec& e = *c.exec;
  const long r = unpack(c);
  if (r != 0) return r;
  const bool p = e.nr == kNr_prlimit64;
  const uint64_t resource = static_cast<uint32_t>(c.args[p ? 1 : 0]);
  const uint64_t wanted = e.exec_args[p ? 2 : 1];
  const auto pid = static_cast<int32_t>(p ? c.args[0] : 0);
  const bool own = pid == 0 || pid == sys(kNr_getpid);
  if (own && wanted != 0 && e.nr != kNr_getrlimit && !is_bad(e, p ? 2 : 1)) {
    const auto soft = safe::load<uint64_t>(reinterpret_cast<void*>(wanted));
    if (resource == kStack) {
      uint64_t now[2] = {0, 0};
      sys(kNr_prlimit64, 0, kStack, 0, now);
      if (soft < now[0]) return leave_it_to_program(c);
    }
    const auto hard = safe::load<uint64_t>(reinterpret_cast<void*>(wanted + 8));
    if (resource == kNofile && (reaches_our_numbers(soft) || cuts_our_numbers(hard)))
      return leave_it_to_program(c);
  }
  // Not while another thread has changed the limit to place a descriptor.
  const bool waits = own && resource == kNofile;
  if (waits) safe::lock(&g_home.place_lock);
  e.result = run_window(c.thread, c.desc);
  if (waits) safe::unlock(&g_home.place_lock);
  pack(c.thread, *c.desc);
  return e.result;
}
// Context: exec
long home_rt_sigprocmask(HomeCall& c) { return generic(c); }

// Context: exec
long home_close_range(HomeCall& c) {
  // A thread with a descriptor table of its own would keep our descriptors, and such a process cannot be away.
  constexpr uint64_t kUnshare = 2;
  if (c.args[2] & kUnshare) return leave_it_to_program(c);
  const auto first = static_cast<uint32_t>(c.args[0]), last = static_cast<uint32_t>(c.args[1]);
  const auto lo = static_cast<uint32_t>(g_home.fd_base), hi = lo + g_home.nslots;
  if (g_home.object_count != 0) return leave_it_to_program(c);
  if (first > last || last < lo || first > hi) return sys(kNr_close_range, first, last, c.args[2]);
  long r = 0;
  if (first < lo) r = sys(kNr_close_range, first, lo - 1, c.args[2]);
  if (r == 0 && last > hi) r = sys(kNr_close_range, hi + 1, last, c.args[2]);
  return r;
}

// Context: exec
long home_getdents(HomeCall& c) {
  HomeExec& e = *c.exec;
  const bool old = e.nr == kNr_getdents;
  const uint32_t name_at = old ? 18 : 19;
  if (is_ours(c.args[0])) return -k::kEBADF;
  const long r = unpack(c);
  if (r != 0) return r;
  const bool listing = lists_own_descriptors(c.args[0]);
  for (;;) {
    e.result = run_window(c.thread, c.desc);
    if (!listing || e.result <= 0) break;
    const auto n = static_cast<uint64_t>(e.result);
    const uint64_t left = hide_entries(reinterpret_cast<uint8_t*>(e.exec_args[1]), n, name_at);
    e.result = static_cast<long>(left);
    if (left > 0) break;
    // Everything in this batch was ours: read on, because an empty answer would mean the end.
  }
  pack(c.thread, *c.desc);
  return e.result;
}

// Context: exec
long home_rt_sigaction(HomeCall& c) {
  HomeExec& e = *c.exec;
  const auto sig = static_cast<uint32_t>(c.args[0]);
  if (c.args[3] != 8 || sig < 1 || sig > 64) return -k::kEINVAL;
  if (c.args[1] != 0 && (sig == k::kSIGKILL || sig == k::kSIGSTOP)) return -k::kEINVAL;
  long r = unpack(c);
  if (r != 0) return r;
  const KernelSigaction old = g_home.actions[sig];
  if (c.args[1] != 0) {
    r = install(sig, safe::load<KernelSigaction>(reinterpret_cast<void*>(e.exec_args[1])));
    if (r != 0) return r;
  }
  if (c.args[2] != 0) safe::store(reinterpret_cast<void*>(e.exec_args[2]), old);
  e.result = 0;
  pack(c.thread, *c.desc);
  return 0;
}

// Context: exec
long home_poll(HomeCall& c) {
  // The kernel keeps the array's address and the remaining time in its restart state. Both survive a homecoming
  // exactly if the array lies where the program has it: in the program's memory at home, which is mapped
  // like the body's and holds nothing else at the moment.
  HomeExec& e = *c.exec;
  const long r = unpack(c);
  if (r != 0) return r;
  const uint64_t bytes = uint64_t{static_cast<uint32_t>(c.args[1])} * 8;
  if (c.args[0] != 0 && bytes > 0) {
    use_program_memory(e, c.args[0], bytes);
    if (write_program(c.args[0], reinterpret_cast<void*>(e.exec_args[0]), bytes)) {
      e.exec_args[0] = c.args[0];
      e.transplanted = 1;  // read outputs from there
    } else {
      e.program_memory = {0, 0};
    }
  }
  e.result = run_window(c.thread, c.desc);
  pack(c.thread, *c.desc);
  e.program_memory = {0, 0};
  return e.result;
}

// Context: exec
long home_pselect6(HomeCall& c) {
  // The gate sends {mask, size} by value instead of {pointer, size}.
  HomeExec& e = *c.exec;
  const long r = unpack(c);
  if (r != 0) return r;
  uint64_t mask[3];
  if (e.exec_args[5] != 0) {
    const auto sent = safe::load<k::Iovec>(reinterpret_cast<void*>(e.exec_args[5]));
    mask[0] = address(&mask[2]);
    mask[1] = sent.len;
    mask[2] = sent.base;
    if (sent.len == 0) mask[0] = 0;
    if (sent.len == 0) mask[1] = 8;
    safe::copy_bytes(c.thread->sigarg, mask, sizeof mask);
    c.thread->sigarg[0] = mask[0] != 0 ? address(&c.thread->sigarg[2]) : 0;
    e.exec_args[5] = address(c.thread->sigarg);
  }
  e.result = run_window(c.thread, c.desc);
  pack(c.thread, *c.desc);
  return e.result;
}

// Context: exec
long home_nanosleep(HomeCall& c) {
  // The kernel writes the remaining time where the program wants it (its memory at home, mapped like the body's):
  // it keeps that address in its restart state, which must mean the same after a homecoming.
  HomeExec& e = *c.exec;
  const uint32_t rem = e.nr == kNr_nanosleep ? 1 : 3;
  const long r = unpack(c);
  if (r != 0) return r;
  const bool ours = hits_libom(c.args[rem], sizeof(k::Timespec));
  if (c.args[rem] != 0 && !ours) use_program_memory(e, c.args[rem], sizeof(k::Timespec));
  e.exec_args[rem] = ours ? bad_pointer(c.thread, c.args[rem]) : c.args[rem];
  e.result = run_window(c.thread, c.desc);
  e.transplanted = 1;
  pack(c.thread, *c.desc);
  e.program_memory = {0, 0};
  return e.result;
}

// Context: exec
long home_mmap(HomeCall& c) {
  constexpr uint32_t kFixed = k::kMapFixed | k::kMapFixedNoreplace;
  if (!(c.args[3] & kFixed) || is_ours(c.args[4]))
    return is_ours(c.args[4]) ? -k::kEBADF : -k::kEINVAL;
  const bool shared = (c.args[3] & k::kMapTypeMask) != k::kMapPrivate;
  const uint32_t object = (c.args[3] & k::kMapAnonymous) ? kNoObject : object_of(c.args[4]);
  if (object != kNoObject ? !shared : shared && !is_steady_file(c.args[4]))
    return leave_it_to_program(c);
  // Kernels that know NOREPLACE take it alone as FIXED, too; never pass both bits on.
  if (c.args[3] & k::kMapFixedNoreplace) c.args[3] &= ~uint64_t{k::kMapFixed};
  const long r = mirror(c, c.args[0], c.args[1]);
  if (object == kNoObject || (r < 0 && r > -4096)) return r;
  // The body makes a view of the object.
  uint8_t* which = bounce(c.thread, sizeof(uint64_t));
  safe::store(which, uint64_t{object});
  c.thread->outs_address = address(which);
  c.thread->outs_bytes = sizeof(uint64_t);
  return r;
}
// Context: exec
long home_munmap(HomeCall& c) { return mirror(c, c.args[0], c.args[1]); }
// Context: exec
long home_mprotect(HomeCall& c) { return mirror(c, c.args[0], c.args[1]); }
// Context: exec
long home_madvise(HomeCall& c) { return mirror(c, c.args[0], c.args[1]); }
// Context: exec
long home_mremap(HomeCall& c) {
  if ((c.args[3] & k::kMremapFixed) && hits_libom(c.args[4], c.args[2])) return -k::kEINVAL;
  return mirror(c, c.args[0], c.args[1]);
}
// Context: exec
long home_brk(HomeCall& c) { return mirror_call({kNr_brk, 0, {c.args[0]}}, false); }

// Context: exec
long home_exit_group(HomeCall& c) {
  sys(kNr_exit_group, c.args[0]);
  return 0;
}
// The threads of the body follow, by way of the deputy and the keeper. The gate waits for the change that the answer
// names. Threads of other processes run at home, or have deputies of their own.
// Context: exec
long home_sched_setaffinity(HomeCall& c) {
  const long r = generic(c);
  if (r != 0) return r;
  const auto tid = static_cast<int32_t>(c.args[0]);
  if (tid != 0 && sys(kNr_tgkill, sys(kNr_getpid), tid, 0) != 0) return r;
  const uint64_t change = safe::fetch_add(&g_home.cpu_changes, 1) + uint64_t{1};
  uint8_t* which = bounce(c.thread, sizeof change);
  safe::store(which, change);
  c.thread->outs_address = address(which);
  c.thread->outs_bytes = sizeof change;
  tell_deputy(kHomeCpus, c.thread->slot, change);
  return r;
}
// Used on the process itself it may have copied a descriptor of ours, which does not exist for the program.
// Context: exec
long home_pidfd_getfd(HomeCall& c) {
  constexpr long kKcmpFile = 0;
  const long r = generic(c);
  if (r < 0 || !is_ours(c.args[1])) return r;
  const long pid = sys(kNr_getpid);
  if (sys(kNr_kcmp, pid, pid, kKcmpFile, r, c.args[1]) != 0) return r;
  sys(kNr_close, r);
  return c.exec->result = -k::kEBADF;
}
// The gate makes and ends threads by special Calls (kNrCloneTwin, kNrExitTwin).
// Context: exec
long home_clone(HomeCall&) { return -k::kENOSYS; }
// Context: exec
long home_exit(HomeCall&) { return -k::kENOSYS; }

}  // namespace om::stub
