// SPDX-License-Identifier: Apache-2.0
#include "guest/fresh_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "common/base/log.h"
#include "common/proc/users.h"
#include "libom/abi/sandbox.h"

namespace om::guest {
namespace {

constexpr int kSetupFailed = 72;
constexpr const char* kOomScore = "500";  // above the host's own processes

// What the process is told: one message on its socket.
struct Orders {
  char title[kMaxTitle + 1];
  bool limited[RLIM_NLIMITS];
  rlimit limits[RLIM_NLIMITS];  // those that are `limited`
  uint64_t threads;
  cpu_set_t cpus;
  proc::CpuShare cpu;
};

// Of the socket between keeper and body.
struct Ends {
  int keepers, bodys;
};

// The filter cannot count threads. A user namespace of its own has a count of its own; without one all guests of this
// user together are counted.
uint64_t most_threads(const BodyPlan& plan, bool apart) {
  const uint64_t usual = proc::usual_most_threads();
  return apart && plan.threads != 0 ? std::min<uint64_t>(usual, plan.threads) : usual;
}

Orders orders_for(const BodyPlan& plan, const cpu_set_t& cpus, bool apart) {
  Orders orders{};
  plan.title.copy(orders.title, kMaxTitle);
  for (const ResourceLimit& l : plan.limits) {
    if (l.resource >= RLIM_NLIMITS) continue;
    orders.limited[l.resource] = true;
    orders.limits[l.resource] = {l.soft, l.hard};
  }
  orders.threads = most_threads(plan, apart);
  orders.cpus = cpus;
  orders.cpu = plan.cpu;
  return orders;
}

// From here on everything runs after fork and before exec: only async-signal-safe calls.

void write_file(const char* path, const char* text) {
  const int fd = ::open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  // Best effort: without it the kernel chooses its victim by size.
  (void)!::write(fd, text, strlen(text));
}

void take_limits(const Orders& orders) {
  for (int resource = 0; resource < RLIM_NLIMITS; resource++) {
    if (!orders.limited[resource]) continue;
    const rlimit& wanted = orders.limits[resource];
    rlimit now{};
    ::getrlimit(static_cast<__rlimit_resource_t>(resource), &now);
    // A hard limit can only be lowered; a soft one goes as far as that.
    rlimit set{std::min(wanted.rlim_cur, now.rlim_max), std::min(wanted.rlim_max, now.rlim_max)};
    ::setrlimit(static_cast<__rlimit_resource_t>(resource), &set);
  }
  rlimit processes{};
  ::getrlimit(RLIMIT_NPROC, &processes);
  processes.rlim_max = std::min<rlim_t>(processes.rlim_max, orders.threads);
  processes.rlim_cur = std::min(processes.rlim_cur, processes.rlim_max);
  ::setrlimit(RLIMIT_NPROC, &processes);
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
}

// All that does not depend on what home wants. `apart`: it is in namespaces of its own.
void prepare(const char* launcher, Ends socket, proc::Isolation isolation, bool apart) {
  ::close(socket.keepers);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  pollfd keeper{socket.bodys, 0, 0};
  // It died before the line above. (Where it has no number here, getppid() cannot tell.)
  if (::poll(&keeper, 1, 0) != 0) ::_exit(kSetupFailed);
  ::setsid();
  sigset_t all;
  sigfillset(&all);
  ::sigprocmask(SIG_BLOCK, &all, nullptr);
  write_file("/proc/self/oom_score_adj", kOomScore);
  // It has no path any more once the root is empty.
  const int program = ::open(launcher, O_PATH | O_CLOEXEC);
  const int high = ::fcntl(program, F_DUPFD_CLOEXEC, kKeeperFd + 2);
  if (::dup2(socket.bodys, kKeeperFd) != kKeeperFd ||
      ::dup3(high, kKeeperFd + 1, O_CLOEXEC) != kKeeperFd + 1)
    ::_exit(kSetupFailed);
  ::syscall(SYS_close_range, 0, kKeeperFd - 1, 0);
  ::syscall(SYS_close_range, kKeeperFd + 2, ~0u, 0);
  if (apart && proc::leave_file_system() != 0 && isolation == proc::Isolation::kRequire)
    ::_exit(kSetupFailed);
}

[[noreturn]] void wait_and_become() {
  Orders orders;
  if (::recv(kKeeperFd, &orders, sizeof orders, 0) != static_cast<ssize_t>(sizeof orders))
    ::_exit(kSetupFailed);  // the keeper does not need it
  take_limits(orders);
  ::sched_setaffinity(0, sizeof orders.cpus, &orders.cpus);
  (void)proc::take_cpu_share(orders.cpu);  // best effort: it may have less already
  char* const argv[] = {orders.title, nullptr};
  char* const envp[] = {nullptr};
  ::syscall(SYS_execveat, kKeeperFd + 1, "", argv, envp, AT_EMPTY_PATH);
  ::_exit(kSetupFailed);
}

}  // namespace

Result<FreshProcess> FreshProcess::fork(const std::string& launcher, proc::Isolation isolation) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
    return errno_error("socket for the body");
  UniqueFd ours(pair[0]), theirs(pair[1]);
  if (isolation == proc::Isolation::kRequire) {
    if (auto allowed = proc::try_namespaces(); !allowed)
      return Error{ENOTSUP, "guests must have namespaces of their own: " + allowed.error().text()};
  }
  bool apart = isolation != proc::Isolation::kOff;
  pid_t child = apart ? proc::fork_apart() : ::fork();
  if (child < 0 && isolation == proc::Isolation::kTry) {
    log_info("body", "no namespaces of its own: {}", ::strerrordesc_np(errno));
    apart = false;
    child = ::fork();
  }
  if (child < 0) return errno_error("fork the body");
  if (child == 0) {
    prepare(launcher.c_str(), {ours.get(), theirs.get()}, isolation, apart);
    wait_and_become();
  }
  return FreshProcess(child, std::move(ours), isolation, apart);
}

FreshProcess::~FreshProcess() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

Result<FreshProcess::Started> FreshProcess::become(const BodyPlan& plan, const cpu_set_t& cpus) {
  if (plan.isolation != isolation_) return plain_error("a process of another isolation");
  const Orders orders = orders_for(plan, cpus, apart_);
  if (::send(socket_.get(), &orders, sizeof orders, MSG_NOSIGNAL) < 0)
    return errno_error("tell the body what it is to be");
  return Started{std::exchange(pid_, 0), std::move(socket_), apart_};
}

}  // namespace om::guest
