// SPDX-License-Identifier: Apache-2.0
//
// The end of a node of om cluster run, at home and on each host: how its daemon is started so that it ends clean, and
// how it and everything it has made are taken away.
#pragma once

#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/own_directory.h"
#include "common/proc/process_id.h"

namespace om::cli {

// How long guests and processes have to go home. A host's whole end takes half a minute at most.
constexpr Milliseconds kRunDrainLimit{10'000};
constexpr Milliseconds kRunEndLimit{30'000};

// Options of om-migrator: SIGTERM empties the node.
void add_run_options(std::vector<std::string>& arguments);

// Ends the daemon, which empties its node, and then the deputies and keepers that it leaves. `state`: its directory.
void end_run_daemon(const ProcessId& daemon, const OwnDirectory& state);

// Removes the directory with all that om cluster run puts into it. Errors: those of removing.
Result<void> remove_run_directory(const OwnDirectory& dir);

}  // namespace om::cli
