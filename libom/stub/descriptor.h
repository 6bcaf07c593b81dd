// SPDX-License-Identifier: Apache-2.0
//
// What depends on the kind of a descriptor.
#pragma once

#include "libom/stub/stub.h"

namespace om::stub {

// What /proc says of a descriptor, with a NUL; its length or -errno.
// Context: exec
long link_of(uint64_t fd, char* to, uint64_t room);
// Whether descriptor `fd` shows fd or fdinfo of this process in /proc.
// Context: exec
bool lists_own_descriptors(uint64_t fd);
// A decimal number and nothing else.
// Context: exec
bool parse_number(const char* s, uint64_t& value);
// The kernel has refused a transfer with EINVAL: unbuffered ones are tried again with memory of the program's own
// alignment.
// Context: exec
void again_aligned(HomeCall& c);
// Whether the call reads or writes a file that shows this process's own memory, which is away.
bool transfers_own_memory(const HomeCall& c);

}  // namespace om::stub
