// SPDX-License-Identifier: Apache-2.0
#include "cli/run_end.h"

#include <unistd.h>

#include "common/base/names.h"

namespace om::cli {
namespace {

// Beyond the limit, for a daemon that is emptying its node.
constexpr Milliseconds kPatience{3000};

}  // namespace

Result<ReadyLine> start_run_daemon(const OwnDirectory& state, const RunDaemon& run,
                                   std::optional<ProcessId>& daemon) {
  DaemonStart start{OM_TRY(find_program("om-migrator")), {}, "", run.mask, SIGTERM};
  start.arguments = {"--name",          run.name,
                     "--control",       run.control,
                     "--listen",        run.listen,
                     "--state",         state.path(),
                     "--identity",      state.path() + "/identity",
                     "--on-stop",       "drain",
                     "--drain-limit-s", std::to_string(kRunDrainLimit.count() / 1000)};
  start.arguments.insert(start.arguments.end(), run.more.begin(), run.more.end());
  return launch_daemon(state, start, [&daemon](ProcessId process) {
    daemon = process;
    return Result<void>();
  });
}

void end_run_daemon(const ProcessId& daemon, const OwnDirectory& state) {
  end_processes({daemon}, kRunDrainLimit + kPatience);
  // After the daemon, which could start more of them.
  end_processes(with_sessions(recorded_children(state)), kPatience);
}

Result<void> remove_run_directory(const OwnDirectory& dir) {
  for (const char* name : {"bin", "lib", "run"}) OM_TRY(dir.remove(name));
  if (::rmdir(dir.path().c_str()) != 0 && errno != ENOENT)
    return errno_error("remove " + dir.path());
  return {};
}

}  // namespace om::cli
