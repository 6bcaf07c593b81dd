// SPDX-License-Identifier: Apache-2.0
//
// Runs a job as a child in our own process group, so that the terminal's signals and the shell's job control reach it
// as if we were not there. We pass on signals sent to us alone, stop when the job stops, and continue it when we are
// continued. The job is killed if we are (PR_SET_PDEATHSIG).
//
// A signal that a process, rather than the terminal, sends to the whole group reaches the job twice, once directly and
// once through us, as with sudo(8): we cannot tell it from one sent to us alone.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

namespace om::cli {

struct JobEnd {
  int exec_errno = 0;  // not 0: the program could not be started
  bool signalled = false;
  int number = 0;  // exit status or signal
  pid_t pid = 0;
};

// Runs `command` (searched in PATH) with this environment ("NAME=value") and waits for it to end. Blocks signals; call
// it once, at the end of main. exec_errno also reports a failed fork.
JobEnd run_job(const std::vector<std::string>& command,
               const std::vector<std::string>& environment);

}  // namespace om::cli
