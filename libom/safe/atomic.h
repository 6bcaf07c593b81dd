// SPDX-License-Identifier: Apache-2.0
//
// Atomics on plain integers (the daemons read the same words through /proc, so no std::atomic types).
#pragma once

#include <stdint.h>

namespace om::safe {

template <class T>
inline T load_acquire(const volatile T* p) {
  return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}
template <class T, class V>
inline void store_release(volatile T* p, V v) {
  __atomic_store_n(p, static_cast<T>(v), __ATOMIC_RELEASE);
}
template <class T, class V>
inline T exchange(volatile T* p, V v) {
  return __atomic_exchange_n(p, static_cast<T>(v), __ATOMIC_ACQ_REL);
}
template <class T, class V>
inline T fetch_add(volatile T* p, V v) {
  return __atomic_fetch_add(p, static_cast<T>(v), __ATOMIC_ACQ_REL);
}
// True if *p was `from` and is now `to`.
template <class T, class U, class V>
inline bool compare_exchange(volatile T* p, U from, V to) {
  T expected = static_cast<T>(from);
  return __atomic_compare_exchange_n(p, &expected, static_cast<T>(to), false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE);
}

}  // namespace om::safe
