// SPDX-License-Identifier: Apache-2.0
//
// Records forwarded calls for `om trace` (libom/abi/trace.h). Several executors do so at once, without a lock: each
// takes a number and fills in the record of that number.
#include "libom/stub/trace.h"

#include "gen/syscalls_desc.h"
#include "libom/abi/kernel.h"
#include "libom/abi/trace.h"
#include "libom/safe/atomic.h"
#include "libom/safe/mem.h"
#include "libom/safe/numbers.h"
#include "libom/safe/syscall.h"
#include "libom/stub/stub.h"
#include "libom/stub/window.h"

namespace om::stub {
namespace {

using safe::sys;

TraceArea* area() { return reinterpret_cast<TraceArea*>(g_home.arena + kControlTrace); }

// Copies the beginning of the call's first string from where it has arrived from the body.
void take_text(TraceRecord& r, const HomeExec& e) {
  r.text_arg = r.text_bytes = 0;
  const SyscallDesc& row = syscall_desc(e.nr);
  for (uint32_t i = 0; i < row.nargs; i++) {
    if (row.args[i].kind != ArgKind::kStr || e.exec_args[i] == 0) continue;
    // Use a system call: if the program's pointer is bad, so is this one.
    k::Iovec local{reinterpret_cast<uint64_t>(r.text), kTraceText},
        remote{e.exec_args[i], kTraceText};
    const long got = sys(kNr_process_vm_readv, sys(kNr_getpid), &local, 1, &remote, 1, 0);
    if (got <= 0) return;
    uint32_t n = 0;
    while (n < static_cast<uint32_t>(got) && r.text[n] != 0) n++;
    r.text_arg = i + 1;
    r.text_bytes = n < static_cast<uint32_t>(got) ? n : kTraceText + 1;
    return;
  }
}

}  // namespace

// Context: exec
uint64_t trace_begin() {
  return safe::load_acquire(&g_home.trace) != 0 && g_home.arena != 0 ? monotonic_ns() : 0;
}

// Context: exec
void trace_end(HomeThread* t, uint64_t begun) {
  const HomeExec& e = t->call;
  if (begun == 0 || e.nr >= kTraceCalls) return;
  const uint64_t took = monotonic_ns() - begun;
  const bool failed = e.result < 0 && e.result >= -4095;
  TraceCount& count = area()->counts[e.nr];
  safe::fetch_add(&count.calls, uint64_t{1});
  safe::fetch_add(&count.errors, uint64_t{failed ? 1u : 0u});
  safe::fetch_add(&count.ns, took);

  k::Timespec now{};
  sys(kNr_clock_gettime, 0, &now);
  const uint64_t number = safe::fetch_add(&area()->head, uint64_t{1});
  TraceRecord& r = area()->ring[number % kTraceRecords];
  safe::store_release(&r.ready, uint64_t{0});
  r.nr = e.nr;
  r.tid = t->tid;
  for (int i = 0; i < 6; i++) r.args[i] = e.program_args[i];
  r.result = e.result;
  r.took_ns = took;
  r.started_ns = static_cast<uint64_t>(now.sec * 1000000000 + now.nsec) - took;
  // A call refused before it was unpacked has no strings.
  r.text_arg = r.text_bytes = 0;
  // A transplanted call's are where the program's memory was.
  if (e.ret_flags == 0 && e.transplanted == 0) take_text(r, e);
  safe::store_release(&r.ready, number + 1);
}

}  // namespace om::stub
