// SPDX-License-Identifier: Apache-2.0
//
// Executes one Call at home. The kernel sees an ordinary call of the original thread: same pid, tid, mask,
// descriptors, credentials. The native effects of the deputy's stop on a blocking call (EINTR where Linux
// keeps no restart state, short transfers) are repaired here and never reach the program.
#include "libom/stub/execute.h"

#include "libom/abi/kernel.h"
#include "libom/abi/msgwire.h"
#include "libom/abi/waiting.h"
#include "libom/safe/atomic.h"
#include "libom/safe/call_layout.h"
#include "libom/safe/mem.h"
#include "libom/safe/numbers.h"
#include "libom/safe/row.h"
#include "libom/safe/syscall.h"
#include "libom/stub/deputy_socket.h"
#include "libom/stub/descriptor.h"
#include "libom/stub/functions.h"
#include "libom/stub/objects.h"
#include "libom/stub/pack.h"
#include "libom/stub/stub.h"
#include "libom/stub/unpack.h"
#include "libom/stub/window.h"

namespace om::stub {

namespace {

using safe::sys;

bool is_pure(const SyscallDesc* desc) { return desc != nullptr && (desc->effects & kEffPure) != 0; }

void note_effect() {
  if (safe::load_acquire(&g_home.effectful) != 0) return;
  safe::store_release(&g_home.effectful, 1u);
  tell_deputy(kHomeEffect, 0, 0);
}

// Whether a Call with this row may run here. Of the calls that the gate answers itself it sends only some cases home,
// all of which only read. Calls for the body's kernel, or for a homecoming, would act on the executor.
bool is_forwarded(const SyscallDesc& row, const safe::Row& resolved) {
  switch (row.route) {
    case Route::kFwd:
    case Route::kSplit:
      return resolved.route == Route::kFwd || resolved.route == Route::kSplit;
    case Route::kLocal:
    case Route::kVirt: {
      if ((row.effects & kEffPure) == 0) return false;
      bool raw = false;
      for (uint32_t i = 0; i < row.nargs; i++)
        raw |= row.args[i].kind == ArgKind::kVal && row.args[i].type == ArgType::kPtr;
      return !raw;
    }
    case Route::kUnknown:
    case Route::kHome:
    case Route::kDeny:
      break;
  }
  return false;
}

// Whether an argument is a descriptor of ours, which does not exist for the program.
bool names_our_descriptor(const HomeCall& c) {
  for (uint32_t i = 0; i < c.desc->nargs; i++) {
    const ArgDesc& a = c.desc->args[i];
    if (a.kind == ArgKind::kVal && (a.type == ArgType::kFd || a.type == ArgType::kAtFd) &&
        is_ours(c.args[i])) {
      return true;
    }
  }
  return false;
}

long execute_wire(HomeCall& c) {
  switch (c.exec->nr) {
    case kNrSignalPoll:
      return 0;
    case kNrWantHome:
      c.exec->no_answer = 1;
      tell_deputy(kHomeWantHome, c.thread->slot, c.args[0]);
      return 0;
    case kNrReadHome:
      return wire_read_home(c);
    case kNrFault:
      return wire_fault(c);
    case kNrSetMask:
      return wire_set_mask(c);
    case kNrCloneTwin:
      note_effect();
      return wire_clone_twin(c);
    case kNrTransfer:
      return wire_transfer(c);
    case kNrExitTwin:
      note_effect();
      return wire_exit_twin(c);
    default:
      return -k::kENOSYS;
  }
}

}  // namespace

// Context: exec
const SyscallDesc* row_of(HomeThread* t, SyscallDesc& storage) {
  const SyscallDesc& desc = syscall_desc(t->call.nr);
  if (desc.route == Route::kUnknown) return nullptr;
  const safe::Row row = safe::resolve_row(desc, t->call.program_args, storage);
  return row.desc;
}

// Context: exec
long generic(HomeCall& c) {
  HomeExec& e = *c.exec;
  if (names_our_descriptor(c)) return e.result = -k::kEBADF;
  if (needs_object(c) || (g_home.memory_files != 0 && transfers_own_memory(c))) {
    e.ret_flags |= kRetRestart | kRetHome;
    return e.result = -k::kEINTR;
  }
  const long r = unpack(c);
  if (r != 0) return e.result = r;
  e.result = run_window(c.thread, c.desc);
  if (e.result == -k::kEINVAL) again_aligned(c);
  pack(c.thread, *c.desc);
  return e.result;
}

// Context: exec
void execute(HomeCall& c) {
  HomeThread* t = c.thread;
  HomeExec& e = *c.exec;
  if (e.nr >= kNrResume) {
    e.result = execute_wire(c);
    e.ret_flags |= c.extra_flags;
    return;
  }
  const SyscallDesc& row = syscall_desc(e.nr);
  safe::normalize_args(row, c.args);
  if (!is_forwarded(row, safe::resolve_row(row, c.args, c.command_desc))) {
    // No gate sends these; answer as for an unknown call.
    safe::fetch_add(&g_home.unknown_calls, 1);
    e.result = -k::kENOSYS;
    return;
  }
  for (int i = 0; i < 6; i++) e.program_args[i] = c.args[i];
  c.desc = row_of(t, c.command_desc);
  if (!is_pure(c.desc)) note_effect();
  if (row.home_fn != 0) {
    // Home functions access the memory themselves; if it is bad the gate has the process come home instead.
    if (c.wire_flags / kCallBad != 0) {
      e.result = -k::kEPROTO;
      return;
    }
    e.result = dispatch_home(row.home_fn, c);
    e.ret_flags |= c.extra_flags;
    return;
  }
  generic(c);
}

}  // namespace om::stub
