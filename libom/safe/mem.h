// SPDX-License-Identifier: Apache-2.0
//
// Memory primitives for freestanding code, and copies that survive a bad program pointer.
#pragma once

#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)
extern "C" {
void* memcpy(void* dst, const void* src, size_t n);
void* memmove(void* dst, const void* src, size_t n);
void* memset(void* dst, int value, size_t n);
int memcmp(const void* a, const void* b, size_t n);

// Copy with a fix-up: 0, or -EFAULT when a byte on either side is not accessible (the copy may be partial).
// Works in a body, whose SIGSEGV/SIGBUS handler moves rip from [om_copy_lo, om_copy_hi) to om_copy_fault.
// Context: gate
long om_copy(void* dst, const void* src, size_t n);
// Length of a string including the NUL, at most max; -EFAULT; -ENAMETOOLONG when there is no NUL in max.
// Context: gate
long om_string_length(const char* s, size_t max);
// Read-modify-write of one byte that changes nothing: 0, or -EFAULT when it is not writable.
// Context: gate
long om_touch(void* p);
// One byte is readable: 0 or -EFAULT.
// Context: gate
long om_peek(const void* p);
extern char om_copy_lo[], om_copy_hi[], om_copy_fault[];
}
#pragma GCC visibility pop

namespace om::safe {

// Context: any
inline void copy_bytes(void* dst, const void* src, size_t n) { memcpy(dst, src, n); }
// Context: any
inline void set_bytes(void* dst, int value, size_t n) { memset(dst, value, n); }

template <class T>
inline T load(const void* p) {
  T v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
template <class T>
inline void store(void* p, T v) {
  __builtin_memcpy(p, &v, sizeof v);
}

}  // namespace om::safe
