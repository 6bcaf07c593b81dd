// SPDX-License-Identifier: Apache-2.0
//
// System call numbers (kNr_read, ...) and the compiled table, as tools/gen_syscalls.py writes them.
#pragma once

#include "gen/syscalls_desc.h"
