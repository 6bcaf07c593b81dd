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

}  // namespace om::stub
