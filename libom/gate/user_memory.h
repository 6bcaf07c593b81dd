// SPDX-License-Identifier: Apache-2.0
//
// The program's memory in its body: all access of the gate to it goes through here. Memory that is not there, or not
// for that use, is an answer (false, -EFAULT) and never a fault: the gate looks at addresses that a program made up.
// Everything that can be accessed is there from the start of a body; were some of it still to be fetched, it would be
// fetched here.
//
// A length may be anything, a range may wrap. What is read twice may differ: other threads of the program run.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace om::gate {

// n bytes from or to the program; false: not all of them are accessible, and some may have been copied.
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

// Either side may be the program's. 0 or -EFAULT; in the form that a safe::Stream wants.
// Context: gate
long copy_program(void* to, const void* from, size_t n);

// Bytes of the string at `at` with its NUL; -EFAULT, or -ENAMETOOLONG without a NUL in `most` bytes.
// Context: gate
long program_string(uint64_t at, uint64_t most);

// Whether the byte at `at` can be read; whether it can be written (it stays what it is).
// Context: gate
bool is_readable(uint64_t at);
bool is_writable(uint64_t at);
// Whether every page of [at, at + n) can be read.
// Context: gate
bool is_readable(uint64_t at, uint64_t n);

// Puts `wanted` in place of `expected` in the word at `at`. 1: done; 0: `expected` is now what it is; -EFAULT.
// Context: gate
long exchange_program(uint64_t at, uint32_t& expected, uint32_t wanted);

// Before a call of this node's kernel that reads or writes [at, at + n) by itself, whoever's memory it is: what is
// still to be fetched. The kernel says by itself what is not accessible.
// Context: gate
inline void make_present(uint64_t at, uint64_t n) {
  static_cast<void>(at);
  static_cast<void>(n);
}

// Where a thread goes on that has had a fault at instruction `rip`, if that was an access of these; else 0.
// Context: kick
uint64_t after_fault(uint64_t rip);

}  // namespace om::gate
