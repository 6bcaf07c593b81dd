// SPDX-License-Identifier: Apache-2.0
//
// Futex locks. A holder never waits for the network, never runs program code and is never moved away, so
// a plain lock() is short; lock_window() is for waits that a kick may cancel.
#pragma once

#include <stdint.h>

#include "libom/safe/atomic.h"
#include "libom/safe/numbers.h"
#include "libom/safe/syscall.h"

namespace om::safe {

constexpr long kFutexWait = 0 | 128;  // FUTEX_WAIT | FUTEX_PRIVATE_FLAG
constexpr long kFutexWake = 1 | 128;

// Context: any
inline void futex_wake(volatile uint32_t* word, int count) {
  sys(kNr_futex, word, kFutexWake, count);
}
// Context: any
inline long futex_wait(volatile uint32_t* word, uint32_t value) {
  return sys(kNr_futex, word, kFutexWait, static_cast<long>(value));
}
// For words that another process changes, which cannot wake waiters. `nanoseconds` is below a second.
// Context: any
inline long futex_wait_for(volatile uint32_t* word, uint32_t value, int64_t nanoseconds) {
  const int64_t timeout[2] = {0, nanoseconds};  // struct timespec
  return sys(kNr_futex, word, kFutexWait, static_cast<long>(value), timeout);
}

// Context: any
inline void lock(volatile uint32_t* word) {
  if (compare_exchange(word, 0u, 1u)) return;
  while (exchange(word, 2u) != 0) futex_wait(word, 2);
}
// Context: any
inline void unlock(volatile uint32_t* word) {
  if (exchange(word, 0u) == 2) futex_wake(word, 1);
}

// 0, or kAborted if *cancel became non-zero while waiting.
// Context: gate
inline long lock_window(volatile uint32_t* word, volatile uint32_t* cancel) {
  if (compare_exchange(word, 0u, 1u)) return 0;
  while (exchange(word, 2u) != 0) {
    const uint64_t args[6] = {reinterpret_cast<uint64_t>(word), kFutexWait, 2, 0, 0, 0};
    if (om_window(cancel, kNr_futex, args) == kAborted) return kAborted;
  }
  return 0;
}

class LockGuard {
 public:
  explicit LockGuard(volatile uint32_t* word) : word_(word) { lock(word_); }
  ~LockGuard() { unlock(word_); }
  LockGuard(const LockGuard&) = delete;
  LockGuard& operator=(const LockGuard&) = delete;

 private:
  volatile uint32_t* word_;
};

}  // namespace om::safe
