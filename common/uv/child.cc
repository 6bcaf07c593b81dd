// SPDX-License-Identifier: Apache-2.0
#include "common/uv/child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace om {
namespace {

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

// What the child needs, made before fork(): afterwards it may only make system calls.
struct Plan {
  std::vector<char*> arguments;
  std::vector<char*> environment;
  std::vector<int> moved;  // room for the temporary numbers
};

bool place_descriptors(const ChildSpec& spec, Plan& plan, int& report) {
  const int first_free = std::max(3, static_cast<int>(spec.descriptors.size()));
  const int report_aside = ::fcntl(report, F_DUPFD_CLOEXEC, first_free);
  if (report_aside < 0) return false;
  report = report_aside;
  // Move them out of the way first: a source number may also be one of the targets.
  for (size_t i = 0; i < spec.descriptors.size(); ++i) {
    const int given = spec.descriptors[i];
    const int from = given >= 0 ? given : ::open("/dev/null", O_RDWR | O_CLOEXEC);
    if (from < 0) return false;
    plan.moved[i] = ::fcntl(from, F_DUPFD_CLOEXEC, first_free);
    if (plan.moved[i] < 0) return false;
  }
  for (size_t i = 0; i < spec.descriptors.size(); ++i) {
    if (::dup2(plan.moved[i], static_cast<int>(i)) < 0) return false;
  }
  return true;
}

bool change_owner(const std::pair<uid_t, gid_t>& owner) {
  // The library's functions would signal all threads, and after fork() there are no others.
  return ::syscall(SYS_setgroups, 0, nullptr) == 0 &&
         ::syscall(SYS_setresgid, owner.second, owner.second, owner.second) == 0 &&
         ::syscall(SYS_setresuid, owner.first, owner.first, owner.first) == 0;
}

bool enter(const std::vector<std::string>& files) {
  for (const std::string& file : files) {
    const int fd = ::open(file.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0 || ::write(fd, "0", 1) != 1) return false;
    ::close(fd);
  }
  return true;
}

[[noreturn]] void run_child(const ChildSpec& spec, Plan& plan, int report) {
  for (int number = 1; number < NSIG; ++number) {
    struct sigaction action {};
    action.sa_handler = SIG_DFL;
    ::sigaction(number, &action, nullptr);  // fails for SIGKILL and SIGSTOP
  }
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::setsid();
  if (enter(spec.entered) && place_descriptors(spec, plan, report) &&
      ::chdir(spec.directory.c_str()) == 0 && (!spec.owner || change_owner(*spec.owner))) {
    ::execve(spec.program.c_str(), plan.arguments.data(), plan.environment.data());
  }
  const int error = errno;
  if (::write(report, &error, sizeof error) < 0) ::_exit(126);
  ::_exit(127);
}

struct Started {
  pid_t pid = 0;
  UniqueFd process;  // pidfd
};

// On a thread of the pool.
Result<Started> start(const ChildSpec& spec) {
  const std::string what = "start " + spec.program;
  std::vector<std::string> arguments = spec.arguments;
  arguments.insert(arguments.begin(), spec.program);
  std::vector<std::string> environment = spec.environment;
  Plan plan{pointers(arguments), pointers(environment), std::vector<int>(spec.descriptors.size())};
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return errno_error(what);
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  // None of our handlers may run in the child before it has reset them.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = ::fork();
  if (pid == 0) run_child(spec, plan, write_end.get());
  const int fork_error = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) return Error{fork_error, what};
  write_end.reset();
  int error = 0;
  ssize_t n;
  while ((n = ::read(read_end.get(), &error, sizeof error)) < 0 && errno == EINTR) {
  }
  if (n == 0) {  // closed by exec
    UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    if (process) return Started{pid, std::move(process)};
    error = errno;
    ::kill(pid, SIGKILL);
  }
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  return Error{error, what};
}

}  // namespace

// Shared with the work on the pool, which may end after the Child.
struct Child::State : std::enable_shared_from_this<Child::State> {
  StartCallback on_started;
  ExitCallback on_exit;
  UniqueFd process;
  std::unique_ptr<Poller> poller;
  bool abandoned = false;

  void began(Loop& loop, Result<Started> outcome) {
    if (abandoned) return;
    auto run = std::move(on_started);
    if (!outcome) {
      if (run) run(outcome.error());
      return;
    }
    process = std::move(outcome->process);
    poller = std::make_unique<Poller>(loop, process.get());
    if (poller->error() != 0) {
      // A child whose end nobody would notice must not exist.
      ::kill(outcome->pid, SIGKILL);
      ::waitid(P_PIDFD, static_cast<id_t>(process.get()), nullptr, WEXITED);
      if (run) run(Error{-poller->error(), "watch a child"});
      return;
    }
    poller->start(UV_READABLE, [self = shared_from_this()](int, int) { self->ended(); });
    if (run) run(outcome->pid);
  }

  void ended() {
    siginfo_t info{};
    const auto id = static_cast<id_t>(process.get());
    if (::waitid(P_PIDFD, id, &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0) return;
    const bool exited = info.si_code == CLD_EXITED;
    auto self = shared_from_this();  // the poller's callback holds the other reference
    auto run = std::move(on_exit);
    poller.reset();
    process.reset();
    if (run) run(exited ? info.si_status : 0, exited ? 0 : info.si_status);
  }
};

Child::Child(Loop& loop, ChildSpec spec, StartCallback on_started, ExitCallback on_exit)
    : state_(std::make_shared<State>()) {
  state_->on_started = std::move(on_started);
  state_->on_exit = std::move(on_exit);
  auto outcome = std::make_shared<Result<Started>>(plain_error("not started"));
  run_in_pool(
      loop, [spec = std::move(spec), outcome] { *outcome = start(spec); },
      [&loop, state = state_, outcome] { state->began(loop, std::move(*outcome)); });
}

Child::~Child() {
  state_->abandoned = true;
  state_->on_started = nullptr;
  state_->on_exit = nullptr;
  state_->poller.reset();  // so that the loop does not wait for it
  state_->process.reset();
}

}  // namespace om
