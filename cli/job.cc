// SPDX-License-Identifier: Apache-2.0
#include "cli/job.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "common/base/unique_fd.h"
#include "common/proc/stat.h"

namespace om::cli {
namespace {

// All signals that can be caught and passed on. Real-time signals mean only what the job defines.
sigset_t passed_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : {SIGHUP,    SIGINT,  SIGQUIT,  SIGUSR1, SIGUSR2, SIGALRM, SIGTERM,
                     SIGCONT,   SIGTSTP, SIGTTIN,  SIGTTOU, SIGURG,  SIGXCPU, SIGXFSZ,
                     SIGVTALRM, SIGPROF, SIGWINCH, SIGIO,   SIGPWR,  SIGCHLD}) {
    sigaddset(&set, signal);
  }
  for (int signal = SIGRTMIN; signal <= SIGRTMAX; ++signal) sigaddset(&set, signal);
  return set;
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (const std::string& text : texts) result.push_back(const_cast<char*>(text.c_str()));
  result.push_back(nullptr);
  return result;
}

// Between fork and exec; reports errno through `failure`.
[[noreturn]] void become_job(const std::vector<char*>& arguments,
                             const std::vector<char*>& environment, const sigset_t& mask,
                             void (*child_handler)(int), pid_t parent, int failure) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(128 + SIGKILL);  // the parent died before prctl()
  ::signal(SIGCHLD, child_handler);
  ::sigprocmask(SIG_SETMASK, &mask, nullptr);
  ::execvpe(arguments[0], arguments.data(), environment.data());
  int error = errno;
  ssize_t ignored = ::write(failure, &error, sizeof error);
  static_cast<void>(ignored);
  ::_exit(127);
}

// Stops us as the job has stopped, by the same signal, so that the shell reports the same.
void stop_like(int signal) {
  if (signal == SIGSTOP) {
    ::raise(SIGSTOP);
    return;
  }
  sigset_t only;
  sigemptyset(&only);
  sigaddset(&only, signal);
  ::signal(signal, SIG_DFL);
  ::raise(signal);
  ::sigprocmask(SIG_UNBLOCK, &only, nullptr);  // stops here
  ::sigprocmask(SIG_BLOCK, &only, nullptr);
}

// Collects what has happened to the job. True if it has ended.
bool collect(pid_t pid, JobEnd& end) {
  int status = 0;
  while (::waitpid(pid, &status, WNOHANG | WUNTRACED) == pid) {
    if (WIFEXITED(status) || WIFSIGNALED(status)) {
      end.signalled = WIFSIGNALED(status);
      end.number = end.signalled ? WTERMSIG(status) : WEXITSTATUS(status);
      return true;
    }
    if (WIFSTOPPED(status)) stop_like(WSTOPSIG(status));
  }
  return false;
}

bool descends_from(pid_t pid, pid_t ancestor) {
  constexpr int kMaxDepth = 64;
  for (int depth = 0; depth < kMaxDepth && pid > 1; ++depth) {
    if (pid == ancestor) return true;
    auto stat = proc::read_stat(pid);
    if (!stat) return false;
    pid = stat->ppid;
  }
  return false;
}

void pass_on(pid_t pid, const siginfo_t& info) {
  // From the terminal or the kernel: the whole group, and so the job, has received it too.
  if (info.si_code > 0) return;
  // kill(0, ...) by the job or its children: likewise.
  if (descends_from(info.si_pid, pid)) return;
  if (info.si_signo == SIGCONT) {
    // If a shell has continued the whole group, there is nothing left to do.
    auto stat = proc::read_stat(pid);
    if (!stat || stat->state != 'T') return;
  }
  if (info.si_code == SI_QUEUE) {
    ::sigqueue(pid, info.si_signo, info.si_value);
  } else {
    ::kill(pid, info.si_signo);
  }
}

}  // namespace

JobEnd run_job(const std::vector<std::string>& command,
               const std::vector<std::string>& environment) {
  JobEnd end;
  std::vector<char*> arguments = pointers(command);
  std::vector<char*> variables = pointers(environment);
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    end.exec_errno = errno;
    return end;
  }
  UniqueFd failure_read(ends[0]);
  UniqueFd failure_write(ends[1]);
  sigset_t passed = passed_signals();
  sigset_t original;
  ::sigprocmask(SIG_BLOCK, &passed, &original);
  // If SIGCHLD were ignored, there would be no status to wait for.
  auto* child_handler = ::signal(SIGCHLD, SIG_DFL);
  pid_t parent = ::getpid();
  pid_t pid = ::fork();
  if (pid == 0)
    become_job(arguments, variables, original, child_handler, parent, failure_write.get());
  if (pid < 0) {
    end.exec_errno = errno;
    return end;
  }
  end.pid = pid;
  failure_write.reset();
  for (;;) {
    siginfo_t info{};
    int signal = ::sigwaitinfo(&passed, &info);
    if (signal < 0) continue;  // EINTR: continued after a stop
    if (signal != SIGCHLD) {
      pass_on(pid, info);
    } else if (collect(pid, end)) {
      break;
    }
  }
  int error = 0;
  if (::read(failure_read.get(), &error, sizeof error) == sizeof error) end.exec_errno = error;
  return end;
}

}  // namespace om::cli
