// SPDX-License-Identifier: Apache-2.0
//
// The gate functions that rows of the table name (generated declarations and dispatch), and what they share
// beyond gate.h.
#pragma once

#include "gen/syscalls_gate.h"
#include "libom/gate/gate.h"
#include "libom/gate/thread.h"
