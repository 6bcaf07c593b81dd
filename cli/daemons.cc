// SPDX-License-Identifier: Apache-2.0
#include "cli/daemons.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <thread>

#include "common/base/pipe.h"
#include "common/base/text.h"
#include "common/net/address.h"
#include "common/net/json_line.h"
#include "common/proc/process.h"
#include "common/proc/stat.h"

namespace om::cli {
namespace {

constexpr Milliseconds kReadyLimit{20000};

struct Launch {
  std::vector<std::string> arguments;
  UniqueFd log;
  UniqueFd null;
  UniqueFd network;  // invalid: our own
  UniqueFd ready;
  int when_we_end = 0;
  pid_t parent = 0;
};

// Between fork and exec: only calls that a child of a one-threaded process may make.
[[noreturn]] void become_daemon(const Launch& launch, const std::vector<char*>& arguments,
                                const sigset_t& mask) {
  constexpr int kReadyFd = 3;
  ::setsid();
  bool ok = (!launch.network || ::setns(launch.network.get(), CLONE_NEWNET) == 0) &&
            ::dup2(launch.null.get(), 0) == 0 && ::dup2(launch.log.get(), 1) == 1 &&
            ::dup2(launch.log.get(), 2) == 2 && ::dup2(launch.ready.get(), kReadyFd) == kReadyFd &&
            ::chdir("/") == 0;
  if (ok && launch.when_we_end != 0) {
    ok = ::prctl(PR_SET_PDEATHSIG, launch.when_we_end) == 0 && ::getppid() == launch.parent;
  }
  if (ok) {
    for (const int signal : {SIGHUP, SIGINT, SIGTERM, SIGPIPE}) ::signal(signal, SIG_DFL);
    ::sigprocmask(SIG_SETMASK, &mask, nullptr);
    ::execv(arguments[0], arguments.data());
  }
  ::dprintf(2, "om: start %s: error %d\n", arguments[0], errno);
  ::_exit(127);
}

// Above the numbers that become_daemon() hands out, so that dup2 overwrites none of them.
Result<UniqueFd> high(UniqueFd fd) {
  UniqueFd moved(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 10));
  if (!moved) return errno_error("dup");
  return moved;
}

std::string last_line(const std::string& path) {
  auto text = read_text(path);
  if (!text) return "";
  std::string_view rest = *text;
  while (!rest.empty() && rest.back() == '\n') rest.remove_suffix(1);
  return std::string(rest.substr(rest.rfind('\n') + 1));
}

Result<ReadyLine> wait_ready(int fd, pid_t pid, const std::string& log_path) {
  LineSplitter splitter(kMaxRequestBytes);
  MonotonicTime deadline = std::chrono::steady_clock::now() + kReadyLimit;
  while (!splitter.has_line()) {
    const auto left = left_until(deadline).count();
    pollfd item{fd, POLLIN, 0};
    int ready = left == 0 ? 0 : ::poll(&item, 1, static_cast<int>(left));
    if (ready < 0 && errno == EINTR) continue;
    std::array<char, 4096> buffer;
    ssize_t n = ready <= 0 ? -1 : ::read(fd, buffer.data(), buffer.size());
    if (n < 0)
      return plain_error(
          fmt::format("om-migrator is not ready after {} s", kReadyLimit.count() / 1000));
    if (n == 0) {
      ::waitpid(pid, nullptr, 0);
      return plain_error("om-migrator did not start: " + last_line(log_path));
    }
    OM_TRY(splitter.push({buffer.data(), static_cast<size_t>(n)}));
  }
  Json line = OM_TRY(parse_json_line(splitter.pop()));
  Address address = OM_TRY(Address::parse(OM_TRY(json_string(line, "address", 64))));
  address.set_port(static_cast<uint16_t>(OM_TRY(json_int(line, "port", 1, 65535))));
  return ReadyLine{address.text()};
}

}  // namespace

Result<ReadyLine> launch_daemon(const OwnDirectory& own, const DaemonStart& start,
                                const std::function<Result<void>(ProcessId)>& started) {
  Launch launch;
  launch.arguments = start.arguments;
  launch.arguments.insert(launch.arguments.begin(), start.program);
  launch.arguments.insert(launch.arguments.end(), {"--ready-fd", "3"});
  launch.log = OM_TRY(high(OM_TRY(own.append_to("log", 0644))));
  launch.null = OM_TRY(high(UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC))));
  launch.when_we_end = start.when_we_end;
  launch.parent = ::getpid();
  if (!start.network.empty())
    launch.network = OM_TRY(high(UniqueFd(::open(start.network.c_str(), O_RDONLY | O_CLOEXEC))));
  Pipe ready = OM_TRY(Pipe::make());
  launch.ready = OM_TRY(high(std::move(ready.write)));
  std::vector<char*> arguments;
  for (std::string& argument : launch.arguments) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  pid_t pid = ::fork();
  if (pid < 0) return errno_error("fork");
  if (pid == 0) become_daemon(launch, arguments, start.mask);
  OM_TRY(started(ProcessId::of(pid).value_or(ProcessId{pid, 0})));
  launch.ready.reset();
  return wait_ready(ready.read.get(), pid, own.path() + "/log");
}

std::vector<ProcessId> recorded_children(const OwnDirectory& state) {
  std::vector<ProcessId> leaders;
  const std::string text = state.read("children").value_or("");
  for (std::string_view rest = text; !rest.empty();) {
    auto line = parse_json_line(take_line(rest));
    if (!line) continue;
    auto pid = json_int(*line, "pid", 1, INT32_MAX);
    auto start = json_int(*line, "start", 0, INT64_MAX);
    if (!pid || !start) continue;
    ProcessId process{static_cast<pid_t>(*pid), static_cast<uint64_t>(*start)};
    if (process.alive()) leaders.push_back(process);
  }
  return leaders;
}

// Each leads a session that contains its bodies.
std::vector<ProcessId> with_sessions(std::vector<ProcessId> leaders) {
  std::vector<ProcessId> result = leaders;
  for (pid_t pid : proc::list_processes().value_or({})) {
    auto stat = proc::read_stat(pid);
    if (!stat) continue;
    bool inside = std::any_of(leaders.begin(), leaders.end(), [&](const ProcessId& leader) {
      return stat->session == leader.pid && stat->pid != leader.pid &&
             stat->starttime >= leader.start_ticks;
    });
    if (inside) result.push_back(ProcessId{pid, stat->starttime});
  }
  return result;
}

std::vector<ProcessId> end_processes(const std::vector<ProcessId>& processes,
                                     Milliseconds patience) {
  // A pidfd stays bound to its process: a reused pid is never hit.
  std::vector<std::pair<ProcessId, UniqueFd>> open;
  for (const ProcessId& process : processes) {
    auto fd = process.open();
    if (fd) open.emplace_back(process, std::move(*fd));
  }
  std::vector<ProcessId> left;
  for (int signal : {SIGTERM, SIGKILL}) {
    for (auto& [process, fd] : open) ::syscall(SYS_pidfd_send_signal, fd.get(), signal, nullptr, 0);
    MonotonicTime deadline = std::chrono::steady_clock::now() + patience;
    left.clear();
    for (auto& [process, fd] : open) {
      const auto rest = static_cast<int>(left_until(deadline).count());
      pollfd item{fd.get(), POLLIN, 0};
      while (::poll(&item, 1, rest) < 0 && errno == EINTR) {
      }
      if ((item.revents & POLLIN) == 0) left.push_back(process);
      ::waitpid(process.pid, nullptr, WNOHANG);  // our child, after a failed start
    }
    if (left.empty()) break;
  }
  // A caller that looks right after us should not see them as zombies. Their new parent reaps them, some parents (a
  // container's process 1) only every few seconds.
  MonotonicTime deadline = std::chrono::steady_clock::now() + Milliseconds(3000);
  for (auto& [process, fd] : open) {
    auto still_listed = [&process = process] {
      auto stat = proc::read_stat(process.pid);
      return stat && stat->starttime == process.start_ticks;
    };
    while (still_listed() && std::chrono::steady_clock::now() < deadline)
      std::this_thread::sleep_for(Milliseconds(2));
  }
  return left;
}

}  // namespace om::cli
