// SPDX-License-Identifier: Apache-2.0
//
// Calls that depend on the kind of their descriptor.
#pragma once

#include "libom/stub/stub.h"

namespace om::stub {

// Reads a descriptor's link in /proc, with a NUL; its length or -errno.
// Context: exec
long link_of(uint64_t fd, char* to, uint64_t room);
// Whether descriptor `fd` shows fd or fdinfo of this process in /proc.
// Context: exec
bool lists_own_descriptors(uint64_t fd);
// Parses a string that is a decimal number and nothing else; false if it is not.
// Context: exec
bool parse_number(const char* s, uint64_t& value);
// After the kernel has refused a transfer with EINVAL: tries an unbuffered one again with memory of the program's own
// alignment.
// Context: exec
void again_aligned(HomeCall& c);
// Whether the call reads or writes a file that shows this process's own memory, which is away.
bool transfers_own_memory(const HomeCall& c);

}  // namespace om::stub
