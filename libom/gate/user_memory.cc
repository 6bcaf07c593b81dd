// SPDX-License-Identifier: Apache-2.0
//
// See user_memory.h. The accesses themselves are in user_memory.S: the fault handler (handlers.cc) resumes a thread
// that faults there at om_copy_fault.
#include "libom/gate/user_memory.h"

#include "libom/abi/kernel.h"
#include "libom/abi/layout.h"
#include "libom/safe/atomic.h"

#pragma GCC visibility push(hidden)
extern "C" {
// 0 or -EFAULT; the copy may be partial.
// Context: gate
long om_copy(void* to, const void* from, size_t n);
// As program_string().
// Context: gate
long om_string_length(const char* s, size_t max);
// Read-modify-write of one byte that changes nothing: 0 or -EFAULT.
// Context: gate
long om_touch(void* p);
// Reads one byte: 0 or -EFAULT.
// Context: gate
long om_peek(const void* p);
extern char om_copy_lo[], om_copy_hi[], om_copy_fault[];
}
#pragma GCC visibility pop

namespace om::gate {
namespace {

template <class T = void>
T* pointer(uint64_t address) {
  return reinterpret_cast<T*>(address);
}

uint64_t address(const char* label) { return reinterpret_cast<uint64_t>(label); }

}  // namespace

// Context: gate
bool read_program(void* to, uint64_t from, uint64_t n) {
  return om_copy(to, pointer(from), n) == 0;
}

// Context: gate
bool write_program(uint64_t to, const void* from, uint64_t n) {
  return om_copy(pointer(to), from, n) == 0;
}

// Context: gate
long copy_program(void* to, const void* from, size_t n) { return om_copy(to, from, n); }

// Context: gate
long program_string(uint64_t at, uint64_t most) {
  return om_string_length(pointer<const char>(at), most);
}

// Context: gate
bool is_readable(uint64_t at) { return om_peek(pointer(at)) == 0; }

// Context: gate
bool is_writable(uint64_t at) { return om_touch(pointer(at)) == 0; }

// Context: gate
bool is_readable(uint64_t at, uint64_t n) {
  const uint64_t end = at + n;
  for (uint64_t p = at; p < end; p = (p & ~(kPageSize - 1)) + kPageSize) {
    if (!is_readable(p)) return false;
  }
  return true;
}

// Context: gate
long exchange_program(uint64_t at, uint32_t& expected, uint32_t wanted) {
  if (!is_writable(at)) return -k::kEFAULT;
  auto* const word = pointer<volatile uint32_t>(at);
  if (safe::compare_exchange(word, expected, wanted)) return 1;
  expected = safe::load_acquire(word);
  return 0;
}

// Context: kick
uint64_t after_fault(uint64_t rip) {
  return rip >= address(om_copy_lo) && rip < address(om_copy_hi) ? address(om_copy_fault) : 0;
}

}  // namespace om::gate
