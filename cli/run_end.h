// SPDX-License-Identifier: Apache-2.0
//
// The end of a node of om cluster run, at home and on each host: how its daemon is started so that it ends clean, and
// how it and everything it has made are taken away.
#pragma once

#include <signal.h>

#include <optional>
#include <string>
#include <vector>

#include "cli/daemons.h"
#include "common/base/clock.h"
#include "common/base/own_directory.h"
#include "common/proc/process_id.h"

namespace om::cli {

// How long guests and processes have to go home. A host's whole end takes half a minute at most.
constexpr Milliseconds kRunDrainLimit{10'000};
constexpr Milliseconds kRunEndLimit{30'000};

// Starts its om-migrator, which ends with this process and then empties its node. `state`: for all that it has; `more`:
// further options. `daemon` is set as soon as there is a process. Errors: those of launch_daemon().
struct RunDaemon {
  std::string name, listen;
  std::string control;  // path of its socket
  sigset_t mask{};      // of its signals
  std::vector<std::string> more{};
};
Result<ReadyLine> start_run_daemon(const OwnDirectory& state, const RunDaemon& run,
                                   std::optional<ProcessId>& daemon);

// Ends the daemon, which empties its node, and then the deputies and keepers that it leaves. `state`: its directory.
void end_run_daemon(const ProcessId& daemon, const OwnDirectory& state);

// Removes the directory with all that om cluster run puts into it. Errors: those of removing.
Result<void> remove_run_directory(const OwnDirectory& dir);

}  // namespace om::cli
