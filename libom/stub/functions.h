// SPDX-License-Identifier: Apache-2.0
//
// The home functions that rows of the table name (generated declarations and dispatch), and the Calls that
// are not system calls.
#pragma once

#include "gen/syscalls_home.h"
#include "libom/stub/stub.h"

namespace om::stub {

long wire_read_home(HomeCall& c);
long wire_fault(HomeCall& c);
long wire_set_mask(HomeCall& c);
long wire_clone_twin(HomeCall& c);
long wire_exit_twin(HomeCall& c);
long wire_transfer(HomeCall& c);

// descriptor.cc: what /proc says of a descriptor, with a NUL; its length or -errno.
// Context: exec
long link_of(uint64_t fd, char* to, uint64_t room);
// Does descriptor `fd` show fd or fdinfo of this process in /proc.
// Context: exec
bool lists_own_descriptors(uint64_t fd);
// A decimal number and nothing else.
// Context: exec
bool parse_number(const char* s, uint64_t& value);
// The kernel has refused a transfer with EINVAL: unbuffered ones are tried again with memory of the program's own
// alignment.
// Context: exec
void again_aligned(HomeCall& c);
// Does the call read or write a file that shows this process's own memory, which is away.
bool transfers_own_memory(const HomeCall& c);

// The generic way, for a home function that only had to look at the arguments first.
long generic(HomeCall& c);

}  // namespace om::stub
