// SPDX-License-Identifier: Apache-2.0
//
// OM_ASSERT: an invariant of our own code, checked in release builds too. Never use it on bytes from a peer, a guest, a
// user or a file: reject those with an Error. Hosted code only.
#pragma once

#include <stdio.h>
#include <stdlib.h>

namespace om {

[[noreturn]] inline void assert_failed(const char* expression, const char* file, int line) {
  ::fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, expression);
  ::abort();
}

}  // namespace om

#define OM_ASSERT(expression)                    \
  (__builtin_expect(!!(expression), 1) ? void(0) \
                                       : ::om::assert_failed(#expression, __FILE__, __LINE__))
