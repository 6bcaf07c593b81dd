// SPDX-License-Identifier: Apache-2.0
//
// The gate's only access to the program's memory in its body. Memory that is unmapped or forbids the access gives an
// error (false, -EFAULT) and never a fault: the addresses come from the program and may be anything. All accessible
// memory is present from the start of a body; if some still had to be fetched, it would be fetched here.
//
// A length may be anything, a range may wrap. Two reads may differ: other threads of the program run.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace om::gate {

// Copies n bytes from or to the program; false: not all of them are accessible, and some may have been copied.
// Context: gate
bool read_program(void* to, uint64_t from, uint64_t n);
bool write_program(uint64_t to, const void* from, uint64_t n);

template <class T>
bool read_program(T& to, uint64_t from) {
  return read_program(&to, from, sizeof to);
}
template <class T>
bool write_program(uint64_t to, const T& from) {
  return write_program(to, &from, sizeof from);
}

// Copies; either side may be the program's. 0 or -EFAULT. Has the signature of safe::Stream::Copy.
// Context: gate
long copy_program(void* to, const void* from, size_t n);

// Bytes of the string at `at` with its NUL; -EFAULT, or -ENAMETOOLONG if `most` bytes have no NUL.
// Context: gate
long program_string(uint64_t at, uint64_t most);

// Whether the byte at `at` can be read; whether it can be written (it stays what it is).
// Context: gate
bool is_readable(uint64_t at);
bool is_writable(uint64_t at);
// Whether every page of [at, at + n) can be read.
// Context: gate
bool is_readable(uint64_t at, uint64_t n);

// Replaces `expected` by `wanted` in the word at `at`. 1: done; 0: `expected` now has the word's value; -EFAULT.
// Context: gate
long exchange_program(uint64_t at, uint32_t& expected, uint32_t wanted);

// To be called before this node's kernel reads or writes [at, at + n), whether it is the program's or not: fetches what
// is missing. The kernel itself reports inaccessible memory.
// Context: gate
inline void make_present(uint64_t at, uint64_t n) {
  static_cast<void>(at);
  static_cast<void>(n);
}

// Where a thread that faulted at instruction `rip` resumes, if it was in one of these accesses; else 0.
// Context: kick
uint64_t after_fault(uint64_t rip);

}  // namespace om::gate
