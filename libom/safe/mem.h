// SPDX-License-Identifier: Apache-2.0
//
// Memory primitives for freestanding code.
#pragma once

#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)
extern "C" {
void* memcpy(void* dst, const void* src, size_t n);
void* memmove(void* dst, const void* src, size_t n);
void* memset(void* dst, int value, size_t n);
int memcmp(const void* a, const void* b, size_t n);
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
