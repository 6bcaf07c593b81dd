// SPDX-License-Identifier: Apache-2.0
//
// om cluster run: a private cluster for the life of one command. A process of its own makes the cluster, and takes it
// away again when the pipe from here ends (run_cluster.h); the command runs here as with om run, and belongs to the
// node at home. Exit status: the command's; 125 if the cluster could not be made, as for om run.
#include <errno.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <nlohmann/json.hpp>

#include "cli/output.h"
#include "cli/run_cluster.h"
#include "cli/run_hosts.h"
#include "cli/verbs.h"
#include "common/base/names.h"
#include "common/base/pipe.h"
#include "common/net/json_line.h"

namespace om::cli {
namespace {

constexpr int kOmFailed = 125;
constexpr const char* kOnlyPolicy = "none";

std::string own_node_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? node_name_of(name.data()) : "node";
}

Result<std::vector<RunHost>> hosts_of(const ClusterRunArguments& arguments,
                                      const std::string& own_node) {
  if (arguments.slurm) return slurm_hosts(own_node);
  return launched_hosts(OM_TRY(parse_hosts(arguments.hosts)), arguments.launcher, own_node);
}

// What is wrong with the arguments; empty if nothing is.
std::string complaint_about(const ClusterRunArguments& arguments) {
  if (arguments.balance != kOnlyPolicy)
    return fmt::format("--balance {}: there is no balancing yet, only none", arguments.balance);
  if (arguments.slurm && !(arguments.hosts.empty() && arguments.launcher.empty()))
    return "--slurm takes the hosts of the allocation: neither --hosts nor --launcher";
  if (!arguments.slurm && arguments.hosts.empty()) return "--hosts or --slurm is needed";
  return "";
}

// The process that the cluster lives in.
[[noreturn]] void be_cluster(std::vector<RunHost> hosts, const std::string& own_node, UniqueFd life,
                             UniqueFd report, bool verbose) {
  ::setsid();
  for (const int signal : {SIGHUP, SIGINT, SIGTERM, SIGPIPE}) ::signal(signal, SIG_IGN);
  ::signal(SIGCHLD, SIG_DFL);
  if (UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC)); null) {
    ::dup2(null.get(), STDIN_FILENO);
    ::dup2(null.get(), STDOUT_FILENO);
  }
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  int status = 0;
  {
    RunCluster cluster(std::move(hosts), own_node, std::move(life), none);
    const auto built = cluster.build();
    if (built) {
      if (verbose) {
        for (const RunSite& site : cluster.sites())
          complain(fmt::format("node {} at {}, programs {}", site.host().node, site.address(),
                               site.copied() ? "copied" : "installed"));
        complain("OM_CONTROL=" + cluster.control());
      }
      const std::string line = to_json_line({{"control", cluster.control()}});
      if (::write(report.get(), line.data(), line.size()) < 0) status = kOmFailed;
      report.reset();
      cluster.watch();
    } else {
      if (built.error().err != EINTR) complain(built.error().text());
      status = kOmFailed;
    }
    cluster.end();
  }
  ::_exit(status);
}

// Waits for the cluster's line, its end, or a signal. Returns where its daemon listens; empty if there is none.
// `signal`: the one that has come.
std::string wait_for_cluster(int report, int signals, int& signal) {
  LineSplitter lines(kMaxRequestBytes);
  while (!lines.has_line()) {
    std::array<pollfd, 2> items{{{report, POLLIN, 0}, {signals, POLLIN, 0}}};
    if (::poll(items.data(), items.size(), -1) < 0) continue;
    signalfd_siginfo info{};
    if (items[1].revents != 0 && ::read(signals, &info, sizeof info) == sizeof info) {
      signal = static_cast<int>(info.ssi_signo);
      return "";
    }
    std::array<char, 4096> buffer;
    const ssize_t n = ::read(report, buffer.data(), buffer.size());
    if (n <= 0 || !lines.push({buffer.data(), static_cast<size_t>(n)})) return "";
  }
  const auto value = parse_json_line(lines.pop());
  return value ? json_string_or(*value, "control", kMaxRequestBytes, "").value_or("") : "";
}

void wait_for_end(pid_t cluster) {
  int status = 0;
  while (::waitpid(cluster, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status))
    complain("the process that keeps the cluster was killed; its directory may be left");
}

}  // namespace

int cluster_run(const ClusterRunArguments& arguments) {
  const std::string complaint = complaint_about(arguments);
  const std::string own_node = own_node_name();
  auto hosts = complaint.empty() ? hosts_of(arguments, own_node)
                                 : Result<std::vector<RunHost>>(plain_error(complaint));
  if (!hosts) {
    complain(hosts.error().text());
    return static_cast<int>(ExitCode::kUsage);
  }
  auto life = Pipe::make(), report = Pipe::make();
  if (!life || !report) {
    complain((life ? report : life).error().text());
    return kOmFailed;
  }
  sigset_t ending, before;
  sigemptyset(&ending);
  for (const int signal : {SIGHUP, SIGINT, SIGQUIT, SIGTERM}) sigaddset(&ending, signal);
  ::sigprocmask(SIG_BLOCK, &ending, &before);
  const pid_t cluster = ::fork();
  if (cluster < 0) {
    complain(errno_error("fork").text());
    return kOmFailed;
  }
  if (cluster == 0) {
    life->write.reset();
    report->read.reset();
    be_cluster(std::move(*hosts), own_node, std::move(life->read), std::move(report->write),
               arguments.verbose);
  }
  life->read.reset();
  report->write.reset();
  UniqueFd signals(::signalfd(-1, &ending, SFD_CLOEXEC));
  int signal = 0;
  const std::string control = wait_for_cluster(report->read.get(), signals.get(), signal);
  int status = signal != 0 ? 128 + signal : kOmFailed;
  if (!control.empty()) {
    ::setenv("OM_CONTROL", control.c_str(), 1);
    ::setenv("OM_NODE", own_node.c_str(), 1);
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    status = run({arguments.command, arguments.cpu});
    ::sigprocmask(SIG_BLOCK, &ending, nullptr);
  }
  life->write.reset();
  wait_for_end(cluster);
  return status;
}

}  // namespace om::cli
