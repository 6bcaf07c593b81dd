// SPDX-License-Identifier: Apache-2.0
#include "cli/run_end.h"

#include <unistd.h>

#include "cli/daemons.h"

namespace om::cli {
namespace {

// Beyond the limit, for a daemon that is emptying its node.
constexpr Milliseconds kPatience{3000};

}  // namespace

void add_run_options(std::vector<std::string>& arguments) {
  arguments.insert(arguments.end(), {"--on-stop", "drain", "--drain-limit-s",
                                     std::to_string(kRunDrainLimit.count() / 1000)});
}

void end_run_daemon(const ProcessId& daemon, const OwnDirectory& state) {
  end_processes({daemon}, kRunDrainLimit + kPatience);
  // After the daemon, which could start more of them.
  end_processes(children_of(state), kPatience);
}

Result<void> remove_run_directory(const OwnDirectory& dir) {
  for (const char* name : {"bin", "lib", "run"}) OM_TRY(dir.remove(name));
  if (::rmdir(dir.path().c_str()) != 0 && errno != ENOENT)
    return errno_error("remove " + dir.path());
  return {};
}

}  // namespace om::cli
