// SPDX-License-Identifier: Apache-2.0
#include "guest/body_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>
#include <kj/debug.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "common/base/log.h"
#include "common/base/text.h"
#include "common/proc/process.h"
#include "common/proc/stat.h"
#include "common/proc/status.h"

namespace om::guest {
namespace {

// A body may send as fast as it likes: after this many messages other tasks get their turn.
constexpr int kMessagesAtOnce = 64;
constexpr auto kOthersTurn = 1 * kj::MILLISECONDS;
constexpr auto kEndLimit = std::chrono::seconds(10);  // a large one takes a while to end
constexpr int kEndPollMs = 10;
constexpr size_t kMaxWaiters = 64;

// Affinity: all CPUs that this process may use, or those among them whose ids home has too. False if there is none.
bool choose_cpus(const BodyPlan& plan, cpu_set_t& chosen) {
  cpu_set_t allowed;
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return false;
  CPU_ZERO(&chosen);
  for (uint32_t i = 0; i < CPU_SETSIZE; i++) {
    if (CPU_ISSET(i, &allowed) && (!plan.home_cpus || i < plan.cpus)) CPU_SET(i, &chosen);
  }
  return CPU_COUNT(&chosen) > 0;
}

// BodyState.cpu_limit: 0 if home has all these ids, too.
uint32_t limit_of(uint32_t cpus, const cpu_set_t& chosen) {
  for (uint32_t i = cpus; i < CPU_SETSIZE; i++) {
    if (CPU_ISSET(i, &chosen)) return std::max(cpus, uint32_t{1});
  }
  return 0;
}

// Processes that this kernel has killed for lack of memory, in a cgroup or overall.
uint64_t oom_kills() {
  const auto text = read_text("/proc/vmstat");
  if (!text) return 0;
  constexpr std::string_view kName = "\noom_kill ";
  const size_t at = text->find(kName);
  return at == text->npos ? 0 : ::strtoull(text->c_str() + at + kName.size(), nullptr, 10);
}

// Whether SIGKILL is on its way to it, or has arrived.
bool is_dying(pid_t pid) {
  constexpr uint64_t kPfExiting = 4;
  const auto stat = proc::read_stat(pid);
  if (!stat || (stat->flags & kPfExiting) != 0) return true;
  const auto status = proc::read_status(pid);
  return !status || ((status->sig_pending | status->sig_pending_shared) >> (SIGKILL - 1) & 1) != 0;
}

std::string how_ended(int status) {
  if (!WIFSIGNALED(status)) return fmt::format("ended with status {}", WEXITSTATUS(status));
  const int sig = WTERMSIG(status);
  if (sig == SIGSYS) return "killed by SIGSYS: a system call that its sandbox does not allow";
  const char* name = ::sigabbrev_np(sig);
  return name != nullptr ? fmt::format("killed by SIG{}", name)
                         : fmt::format("killed by signal {}", sig);
}

}  // namespace

BodyProcess::BodyProcess(kj::AsyncIoContext& io, std::function<void(uint32_t)> on_need_channel)
    : io_(io),
      on_need_channel_(std::move(on_need_channel)),
      tasks_(kj::heap<kj::TaskSet>(errors_)) {}

BodyProcess::~BodyProcess() noexcept(false) { kill(); }

Result<void> BodyProcess::start(const std::string& launcher, const BodyPlan& plan) {
  if (!choose_cpus(plan, cpus_)) return Error{ERANGE, "no CPU that home has too"};
  cpu_limit_ = limit_of(plan.cpus, cpus_);
  Result<FreshProcess::Started> started =
      fresh_ ? fresh_->become(plan, cpus_) : Result<FreshProcess::Started>(plain_error("none"));
  fresh_.reset();
  if (!started) {
    FreshProcess fresh = OM_TRY(FreshProcess::fork(launcher, plan.isolation));
    started = fresh.become(plan, cpus_);
  }
  if (!started) return started.error();
  pid_ = started->pid;
  numbers_ = ThreadNumbers(started->apart);
  end_.ended = end_.out_of_memory = false;
  end_.how.clear();
  end_.oom_kills_before = oom_kills();
  socket_ = std::move(started->socket);
  if (::fcntl(socket_.get(), F_SETFL, O_NONBLOCK) != 0) return errno_error("socket for the body");
  pidfd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  if (!pidfd_.valid()) return errno_error("pidfd of the body");
  observer_ = kj::heap<kj::UnixEventPort::FdObserver>(io_.unixEventPort, socket_.get(),
                                                      kj::UnixEventPort::FdObserver::OBSERVE_READ);
  end_observer_ = kj::heap<kj::UnixEventPort::FdObserver>(
      io_.unixEventPort, pidfd_.get(), kj::UnixEventPort::FdObserver::OBSERVE_READ);
  tasks_->add(read_loop());
  tasks_->add(watch_end());
  return {};
}

Result<void> BodyProcess::open_memory() {
  memory_ = OM_TRY(ProcessMemory::open(pid_));
  return {};
}

void BodyProcess::end(const std::string& reason) {
  if (!running()) return;
  log_warn("body", "{}", reason);
  end_.reason = reason;
  ::kill(pid_, SIGKILL);
}

void BodyProcess::kill() {
  fresh_.reset();
  if (pid_ > 0 && !end_.ended) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  end_.ended = true;
  tasks_ = kj::heap<kj::TaskSet>(errors_);
  observer_ = nullptr;
  end_observer_ = nullptr;
  memory_.reset();
  socket_.reset();
  pidfd_.reset();
  mail_.messages.clear();
}

Result<void> BodyProcess::send(const BodyMessage& message, const void* more, size_t more_bytes,
                               int fd) {
  iovec iov[2] = {{const_cast<BodyMessage*>(&message), sizeof message},
                  {const_cast<void*>(more), more_bytes}};
  msghdr h{};
  h.msg_iov = iov;
  h.msg_iovlen = more_bytes > 0 ? 2 : 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  if (fd >= 0) {
    h.msg_control = control;
    h.msg_controllen = sizeof control;
    cmsghdr* c = CMSG_FIRSTHDR(&h);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
  }
  if (::sendmsg(socket_.get(), &h, MSG_NOSIGNAL) < 0) return errno_error("talk to the body");
  return {};
}

kj::Promise<void> BodyProcess::read_loop() {
  return observer_->whenBecomesReadable().then([this]() -> kj::Promise<void> { return read_on(); });
}

kj::Promise<void> BodyProcess::read_on() {
  if (read_messages()) return read_loop();
  if (end_.ended) return kj::READY_NOW;
  return io_.provider->getTimer().afterDelay(kOthersTurn).then([this] { return read_on(); });
}

// True if there are no more for the moment. What has not the size of a message is nothing of libom's.
bool BodyProcess::read_messages() {
  for (int i = 0; i < kMessagesAtOnce; i++) {
    BodyMessage m{};
    const ssize_t n = ::recv(socket_.get(), &m, sizeof m, MSG_TRUNC);
    if (n < 0 && errno != EINTR) return true;
    if (n == sizeof m) file(m);
  }
  return false;
}

void BodyProcess::file(const BodyMessage& m) {
  if (m.type == kBodyNeedChannel) {
    on_need_channel_(m.slot);
    return;
  }
  if (m.type == kBodyPanic) {
    if (!end_.panic.empty()) return;  // it ends after the first
    std::array<char, sizeof(BodyMessage) - offsetof(BodyMessage, b)> text{};
    memcpy(text.data(), &m.b, text.size());
    end_.panic = escaped(std::string_view(text.data(), strnlen(text.data(), text.size())));
    log_error("body", "{} ({:#x})", end_.panic, m.a);
    return;
  }
  if (m.type == kBodyIsParked) return;  // the keeper looks at the threads itself
  KJ_IF_MAYBE (fulfiller, mail_.waiting) {
    (*fulfiller)->fulfill(kj::cp(m));
    mail_.waiting = nullptr;
    return;
  }
  constexpr size_t kMaxQueued = 64;  // a body that babbles is ignored
  if (mail_.messages.size() < kMaxQueued) mail_.messages.push_back(m);
}

kj::Promise<BodyMessage> BodyProcess::receive() {
  if (!mail_.messages.empty()) {
    const BodyMessage m = mail_.messages.front();
    mail_.messages.pop_front();
    return kj::cp(m);
  }
  auto paf = kj::newPromiseAndFulfiller<BodyMessage>();
  if (end_.ended) {
    paf.fulfiller->reject(KJ_EXCEPTION(DISCONNECTED, "the body has ended"));
  } else {
    mail_.waiting = kj::mv(paf.fulfiller);
  }
  return kj::mv(paf.promise);
}

kj::Promise<void> BodyProcess::watch_end() {
  return end_observer_->whenBecomesReadable().then([this] { take_end(); });
}

void BodyProcess::take_end() {
  int status = 0;
  if (end_.ended || ::waitpid(pid_, &status, WNOHANG) != pid_) return;
  read_messages();  // the last one may say why
  end_.ended = true;
  end_.how = how_ended(status);
  end_.out_of_memory = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && end_.reason.empty() &&
                       oom_kills() != end_.oom_kills_before;
  if (end_.out_of_memory) end_.how += " when memory had run out there";
  for (const std::string& more : {end_.panic, end_.reason}) {
    if (!more.empty()) end_.how += ": " + more;
  }
  KJ_IF_MAYBE (fulfiller, mail_.waiting) {
    (*fulfiller)->reject(KJ_EXCEPTION(DISCONNECTED, "the body has ended", end_.how.c_str()));
    mail_.waiting = nullptr;
  }
  for (auto& waiter : end_.waiters) waiter->fulfill(kj::cp(end_.how));
  end_.waiters.clear();
}

bool BodyProcess::has_ended() {
  if (pid_ <= 0) return false;
  const auto limit = std::chrono::steady_clock::now() + kEndLimit;
  pollfd end{pidfd_.get(), POLLIN, 0};
  while (!end_.ended && is_dying(pid_) && std::chrono::steady_clock::now() < limit) {
    ::poll(&end, 1, kEndPollMs);
    take_end();
  }
  return !end_.how.empty();
}

kj::Promise<std::string> BodyProcess::ended() {
  if (end_.ended) return kj::cp(end_.how);
  if (end_.waiters.size() == kMaxWaiters) end_.waiters.clear();  // home asks once a session
  auto paf = kj::newPromiseAndFulfiller<std::string>();
  end_.waiters.add(kj::mv(paf.fulfiller));
  return kj::mv(paf.promise);
}

void BodyProcess::Errors::taskFailed(kj::Exception&& exception) {
  log_warn("body", "{}", exception.getDescription().cStr());
}

void BodyProcess::pin_thread(pid_t tid, const std::vector<uint64_t>& mask) const {
  if (!running()) return;
  // The call accepts the number of any thread of this user.
  const pid_t outer = outer_tid(tid);
  if (outer <= 0 || ::access(fmt::format("/proc/{}/task/{}", pid_, outer).c_str(), F_OK)) return;
  cpu_set_t wanted;
  CPU_ZERO(&wanted);
  for (size_t cpu = 0; cpu < CPU_SETSIZE && cpu / 64 < mask.size(); cpu++) {
    if (mask[cpu / 64] >> cpu % 64 & 1 && CPU_ISSET(cpu, &cpus_)) CPU_SET(cpu, &wanted);
  }
  const cpu_set_t& cpus = CPU_COUNT(&wanted) > 0 ? wanted : cpus_;
  // Best effort: the thread may have ended, or this node may have switched off the CPUs or taken them away.
  (void)::sched_setaffinity(outer, sizeof cpus, &cpus);
}

void BodyProcess::signal_thread(pid_t tid, int sig) const {
  if (!running()) return;
  const pid_t outer = outer_tid(tid);
  if (outer <= 0 || ::syscall(SYS_tgkill, pid_, outer, sig) == 0 || !numbers_.forget(tid)) return;
  // That thread has ended; the body may have given its number to another.
  if (const pid_t other = outer_tid(tid); other > 0) ::syscall(SYS_tgkill, pid_, other, sig);
}

void BodyProcess::signal_leader(int sig) const {
  if (running()) ::syscall(SYS_tgkill, pid_, pid_, sig);
}

void BodyProcess::signal_all(int sig) const {
  if (!running()) return;
  auto tids = proc::list_tasks(pid_);
  if (!tids) return;
  for (pid_t tid : *tids) ::syscall(SYS_tgkill, pid_, tid, sig);
}

}  // namespace om::guest
