// SPDX-License-Identifier: Apache-2.0
//
// om run [--] COMMAND: starts a program so that it can be moved, and stays to say why if the program is lost while
// away. Exit status: the job's own, 128+n if signal n ended it, 125 if om itself fails, 126 if the program cannot be
// executed, 127 if it does not exist, as in env(1).
#include <errno.h>
#include <fmt/core.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "cli/client.h"
#include "cli/epitaph.h"
#include "cli/job.h"
#include "cli/output.h"
#include "cli/run_environment.h"
#include "cli/verbs.h"
#include "common/base/names.h"
#include "common/movable/preflight.h"

namespace om::cli {
namespace {

constexpr int kOmFailed = 125;
constexpr int kNotExecutable = 126;
constexpr int kNotFound = 127;

// Whether the loader would refuse, ignore or choke on libom.so: then the program runs without it.
bool cannot_preload(ReasonCode code) {
  return code == ReasonCode::kSanitizer || code == ReasonCode::kStaticBinary ||
         code == ReasonCode::kSetuid || code == ReasonCode::kNotPreloaded;
}

// Why to start it without libom.so; empty if there is no reason.
std::string reason_against_preload(const std::vector<std::string>& command) {
  const char* path = ::getenv("PATH");
  auto report = preflight_command(command, path == nullptr ? "" : path);
  if (!report) return "";  // exec reports it better
  for (const Reason& reason : report->reasons) {
    if (cannot_preload(reason.code)) return fmt::format("{}: {}", reason.name(), reason.message());
  }
  return "";
}

// A job ended by SIGKILL may have been lost with a remote node.
void tell_loss(pid_t pid) {
  const std::string last = epitaph(pid);
  if (!last.empty()) complain(fmt::format("process {}: {}", pid, last));
}

}  // namespace

int run(const RunArguments& arguments) {
  Environment environment = current_environment();
  std::string against = reason_against_preload(arguments.command);
  if (!against.empty()) {
    complain(fmt::format("{} runs at home only: {}", arguments.command.front(), against));
  } else {
    auto library = find_preload_library();
    auto added = library ? add_preload(environment, *library) : Result<void>(library.error());
    if (!added) {
      complain(added.error().text());
      return kOmFailed;
    }
    add_sanitizer_options(environment);
    // A job without OM_CONTROL belongs to whichever node turns out to be the default one.
    std::string control = client_control_path();
    if (::access(control.c_str(), F_OK) == 0) environment["OM_CONTROL"] = control;
  }
  if (!arguments.cpu.empty() && arguments.cpu != "host") {
    const CpuBaseline* baseline = find_cpu_baseline(arguments.cpu);
    if (baseline == nullptr) {
      complain(fmt::format("--cpu {}: one of {}, host", arguments.cpu, cpu_baseline_names()));
      return kOmFailed;
    }
    add_baseline(environment, *baseline);
  }
  if (arguments.home_cpus) environment.insert_or_assign("OM_HOME_CPUS", "yes");
  std::vector<std::string> variables;
  for (auto& [name, value] : environment) variables.push_back(name + "=" + value);

  JobEnd end = run_job(arguments.command, variables);
  if (end.exec_errno != 0) {
    complain(fmt::format("{}: {}", arguments.command.front(), ::strerror(end.exec_errno)));
    if (end.pid == 0) return kOmFailed;
    return end.exec_errno == ENOENT ? kNotFound : kNotExecutable;
  }
  if (!end.signalled) return end.number;
  if (end.number == SIGKILL && against.empty()) tell_loss(end.pid);
  return 128 + end.number;
}

}  // namespace om::cli
