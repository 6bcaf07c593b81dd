// SPDX-License-Identifier: Apache-2.0
//
// The C memory functions that the compiler may call on its own, without libc. REP string instructions: short
// code, no vector registers (the program's vector state is live while the gate runs).
#include "libom/safe/mem.h"

extern "C" {

// Context: any
void* memcpy(void* dst, const void* src, size_t n) {
  void* d = dst;
  asm volatile("rep movsb" : "+D"(d), "+S"(src), "+c"(n) : : "memory");
  return dst;
}

// Context: any
void* memmove(void* dst, const void* src, size_t n) {
  auto* d = static_cast<unsigned char*>(dst);
  auto* s = static_cast<const unsigned char*>(src);
  if (d <= s || d >= s + n) return memcpy(dst, src, n);
  while (n--) {
    d[n] = s[n];
    asm volatile("" : : : "memory");  // keeps the loop from becoming a call of memmove
  }
  return dst;
}

// Context: any
void* memset(void* dst, int value, size_t n) {
  void* d = dst;
  asm volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(value) : "memory");
  return dst;
}

// Context: any
int memcmp(const void* a, const void* b, size_t n) {
  auto* x = static_cast<const unsigned char*>(a);
  auto* y = static_cast<const unsigned char*>(b);
  for (size_t i = 0; i < n; i++) {
    asm volatile("" : : : "memory");
    if (x[i] != y[i]) return x[i] < y[i] ? -1 : 1;
  }
  return 0;
}

}  // extern "C"
