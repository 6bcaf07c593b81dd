// SPDX-License-Identifier: Apache-2.0
//
// A job as a child in our own process group, so that the terminal's signals and the shell's job control reach
// it as if we were not there. Signals that somebody sends to us alone are passed on; when the job stops we
// stop; when it is continued through us it is continued. The job is killed if we are (PR_SET_PDEATHSIG).
//
// A signal sent to the whole group by another process than the terminal reaches the job twice: once itself and
// once through us, as with sudo(8); the two cannot be told apart.
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

// Runs `command` (searched in PATH) with this environment ("NAME=value") and waits until it has ended.
// Blocks signals; call it once, at the end of main. fork failure is exec_errno too.
JobEnd run_job(const std::vector<std::string>& command,
               const std::vector<std::string>& environment);

}  // namespace om::cli
