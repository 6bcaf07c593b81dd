// SPDX-License-Identifier: Apache-2.0
//
// Raw system calls for code that runs inside arbitrary programs. All `syscall` instructions of libom are
// in safe/syscall.S, section om_gate: in a body the filter allows system calls from there only.
//
// Results are the kernel's own: >= 0, or -errno in [-4095, -1]. errno does not exist here.
#pragma once

#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)
extern "C" {
// Context: any
long om_syscall(long nr, long a, long b, long c, long d, long e, long f);

// A system call that is not entered once *cancel is not 0, and that a signal handler can cancel by moving
// rip from [om_window_lo, om_window_end) to om_window_abort: the answer is then kAborted.
// Context: any
long om_window(volatile uint32_t* cancel, long nr, const uint64_t* args);
extern char om_window_lo[], om_window_end[], om_window_abort[];

// New thread: runs entry(arg) on `stack` (16-byte aligned top); never returns there. Returns the tid.
// Context: any
long om_clone(uint64_t flags, void* stack, void* ptid, void* ctid, void (*entry)(void*), void* arg);

// *busy = 0, then exit: the stack may be reused from that store on.
// Context: any
[[noreturn]] void om_exit_thread(volatile uint32_t* busy, long code);

extern char om_inject[], om_inject_first[], om_transplant[], om_transplant_end[],
    om_transplant_abort[], om_restorer[];
extern char om_gate_lo[], om_gate_hi[];
}
#pragma GCC visibility pop

namespace om::safe {

constexpr long kAborted = -5000;  // om_window was cancelled; not an errno

template <class T>
inline long to_long(T* p) {
  return static_cast<long>(reinterpret_cast<uintptr_t>(p));
}
inline long to_long(long v) { return v; }
inline long to_long(unsigned long v) { return static_cast<long>(v); }
inline long to_long(int v) { return v; }
inline long to_long(unsigned v) { return static_cast<long>(v); }

// Context: any
template <class A = long, class B = long, class C = long, class D = long, class E = long,
          class F = long>
inline long sys(long nr, A a = 0, B b = 0, C c = 0, D d = 0, E e = 0, F f = 0) {
  return om_syscall(nr, to_long(a), to_long(b), to_long(c), to_long(d), to_long(e), to_long(f));
}

}  // namespace om::safe
