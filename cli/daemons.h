// SPDX-License-Identifier: Apache-2.0
//
// Starts om-migrator, and ends daemons and what they have started: for the clusters that om makes itself (om cluster
// dev, om cluster run).
#pragma once

#include <signal.h>

#include <functional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/own_directory.h"
#include "common/base/result.h"
#include "common/proc/process_id.h"

namespace om::cli {

// What om-migrator reported when it was ready.
struct ReadyLine {
  std::string address;  // with port
};

struct DaemonStart {
  std::string program;
  std::vector<std::string> arguments;  // without argv[0]; --ready-fd is added
  std::string network;                 // path of a network namespace; empty: our own
  sigset_t mask{};                     // of its signals
  int when_we_end = 0;                 // a signal that it gets when this thread ends; 0: none
};

// Starts it in a session of its own and waits until it is ready; its log is `own`/log. `started` gets the process as
// soon as there is one; if that fails, so does this. The caller must have one thread only. Errors: those of starting
// it, or its last words.
Result<ReadyLine> launch_daemon(const OwnDirectory& own, const DaemonStart& start,
                                const std::function<Result<void>(ProcessId)>& started);

// Deputies and keepers that the daemon with this state directory has recorded and that still run.
std::vector<ProcessId> recorded_children(const OwnDirectory& state);
// The same processes, and everything in the sessions that they lead. Looks at every process of this machine.
std::vector<ProcessId> with_sessions(std::vector<ProcessId> leaders);

// Sends SIGTERM to each, and SIGKILL to those that remain after `patience`; only to exactly these processes. Returns
// those that could not be ended.
std::vector<ProcessId> end_processes(const std::vector<ProcessId>& processes,
                                     Milliseconds patience);

}  // namespace om::cli
