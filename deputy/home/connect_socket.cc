// SPDX-License-Identifier: Apache-2.0
//
// Makes the deputy socket between libom in the stopped home process and us, at a departure or for a process whose
// deputy has died. The process may have a root, a mount namespace or a network of its own, where no name of ours means
// anything. So injected calls make a socket pair in the process, and we fetch one end of it with pidfd_getfd. Where
// that call is forbidden (containers) or cannot help (the main thread has ended, with its table of descriptors), the
// process connects to an abstract name of ours, which needs the same network namespace.
//
// For a moment the descriptors have numbers of the program's; HomeState.pair says which, so that they are closed even
// if we die here.
#include "deputy/home/connect_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "common/base/hex.h"
#include "common/base/log.h"
#include "common/proc/process.h"
#include "deputy/home/executors.h"
#include "libom/abi/home.h"

namespace om::deputy {
namespace {

constexpr unsigned kPidfdThread = O_EXCL;  // since Linux 6.9

// A duplicate of a descriptor of that thread.
Result<UniqueFd> fetch(pid_t pid, pid_t tid, int number) {
  UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, tid, kPidfdThread)));
  if (!process.valid()) process.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!process.valid()) return errno_error("pidfd_open");
  UniqueFd fd(static_cast<int>(::syscall(SYS_pidfd_getfd, process.get(), number, 0)));
  if (!fd.valid()) return errno_error("pidfd_getfd");
  return fd;
}

bool from_process(int fd, pid_t pid) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid == pid;
}

class SessionMaker {
 public:
  SessionMaker(StoppedProcess& stop, StoppedThread& thread, const Target& target, uint64_t stack,
               uint64_t scratch, std::vector<int> spare)
      : stop_(stop),
        thread_(thread),
        target_(target),
        stack_(stack),
        scratch_(scratch),
        spare_(std::move(spare)) {}

  // Returns our end; the other is descriptor `number` of the process afterwards.
  Verdict<UniqueFd> make(int number) {
    OM_TRY(close_pair());  // of a deputy that died in here
    auto end = by_pair();
    const bool vacated = !end && is_out_of_descriptors_ && !spare_.empty();
    if (vacated) {
      OM_TRY(close_pair());
      for (const int fd : spare_) (void)call("close", SYS_close, {static_cast<uint64_t>(fd)});
      end = by_pair();
    }
    if (!end && !is_out_of_descriptors_) {
      log_info("home", "{}: by name instead", end.error().message());
      (void)close_pair();
      end = by_name();
    }
    const Step placed = end ? place(number) : Step(end.error());
    Step closed = close_pair();
    for (size_t i = 0; vacated && i < spare_.size(); i++) (void)copy(number, spare_[i]);
    if (!placed) return placed.error();
    if (!closed) return closed.error();
    return std::move(*end);
  }

 private:
  Verdict<int64_t> call(const char* what, uint64_t nr, std::initializer_list<uint64_t> args) {
    const int64_t r = OM_MUST(stop_.call(thread_, target_, stack_, nr, args));
    if (r >= 0) return r;
    is_out_of_descriptors_ = r == -EMFILE || r == -ENFILE;
    return internal(Error{static_cast<int>(-r), what});
  }

  uint64_t pair_at(size_t i) const {
    return target_.anchor.home_state + offsetof(HomeState, pair) + i * sizeof(int32_t);
  }
  Verdict<int32_t> pair(size_t i) const { return OM_MUST(target_.memory.get<int32_t>(pair_at(i))); }
  Step put_pair(size_t i, int64_t fd) const {
    OM_MUST_VOID(target_.memory.put(pair_at(i), static_cast<int32_t>(fd)));
    return Done{};
  }

  Verdict<UniqueFd> by_pair() {
    OM_TRY(call("a socket pair", SYS_socketpair,
                {AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair_at(0)}));
    const int32_t ours = OM_TRY(pair(1));
    auto end = fetch(stop_.pid(), thread_.tid, ours);
    if (end) return std::move(*end);
    is_out_of_descriptors_ = end.error().err == EMFILE || end.error().err == ENFILE;
    return internal(end.error());
  }

  Verdict<UniqueFd> by_name() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    char secret[16];
    if (::getrandom(secret, sizeof secret, 0) != sizeof secret)
      return internal(errno_error("getrandom"));
    const std::string name = "om-" + to_hex(std::string_view(secret, sizeof secret));
    memcpy(address.sun_path + 1, name.data(), name.size());
    const size_t bytes = offsetof(sockaddr_un, sun_path) + 1 + name.size();
    UniqueFd listener(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!listener.valid() ||
        ::bind(listener.get(), reinterpret_cast<sockaddr*>(&address),
               static_cast<socklen_t>(bytes)) != 0 ||
        ::listen(listener.get(), 64) != 0)
      return internal(errno_error("listen"));
    const int64_t fd =
        OM_TRY(call("a socket", SYS_socket, {AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0}));
    OM_TRY(put_pair(0, fd));
    OM_MUST_VOID(target_.memory.write(
        scratch_, std::as_bytes(std::span(reinterpret_cast<const char*>(&address), bytes))));
    OM_TRY(call("connect to the deputy", SYS_connect,
                {static_cast<uint64_t>(fd), scratch_, static_cast<uint64_t>(bytes)}));
    for (;;) {
      UniqueFd end(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!end.valid()) return internal(errno_error("accept"));
      if (from_process(end.get(), stop_.pid())) return end;
    }
  }

  Verdict<int64_t> copy(int from, int to) {
    return call("place the deputy socket", SYS_dup3,
                {static_cast<uint64_t>(from), static_cast<uint64_t>(to), uint64_t{O_CLOEXEC}});
  }

  Step place(int number) {
    const int32_t end = OM_TRY(pair(0)), other = OM_TRY(pair(1));
    // If the program has all numbers below, the kernel has given out ours.
    if (end == number) {
      OM_TRY(put_pair(0, -1));
    } else {
      if (other == number) OM_TRY(put_pair(1, -1));  // will be replaced; we have fetched it
      OM_TRY(copy(end, number));
    }
    OM_MUST_VOID(
        target_.put_home_field(offsetof(HomeState, deputy_fd), static_cast<int32_t>(number)));
    return Done{};
  }

  Step close_pair() {
    for (size_t i = 0; i < 2; i++) {
      const int32_t fd = OM_TRY(pair(i));
      if (fd < 0) continue;
      // Forget it first: better to lose a number than to close one that is the program's by then.
      OM_TRY(put_pair(i, -1));
      OM_TRY(call("close", SYS_close, {static_cast<uint64_t>(fd)}));
    }
    return Done{};
  }

  StoppedProcess& stop_;
  StoppedThread& thread_;
  const Target& target_;
  uint64_t stack_, scratch_;
  std::vector<int> spare_;  // numbers of libom's that hold only copies of the deputy socket
  bool is_out_of_descriptors_ = false;
};

// Threads that still ran code for a deputy when it died go on as executors by themselves, by the frames that it has
// left. Until they have, those frames must stay, and the threads must see its end of the deputy socket closed.
Step take_back_lent(const HomeSide& home, StoppedProcess& stop) {
  for (auto& t : stop.threads()) {
    for (Wait wait(t.tid, Deadline::max()); !t.tracee.gone() && home.is_lent(t);) {
      t.tracee.resume();
      const bool lives = wait.nap();
      t.tracee.interrupt();
      OM_MUST_VOID(t.tracee.wait_stop(Deadline::max()));
      if (!t.tracee.gone()) t.regs = OM_MUST(t.tracee.regs());
      if (!lives) return refuse(ReasonCode::kNoSuchProcess, "it has ended");
    }
  }
  std::erase_if(stop.threads(), [](const StoppedThread& t) { return t.tracee.gone(); });
  return Done{};
}

}  // namespace

LiftedFiles::LiftedFiles(pid_t pid, uint64_t numbers) : pid_(pid) {
  auto limit = proc::read_limit(pid, RLIMIT_NOFILE);
  if (!limit || limit->rlim_cur >= numbers) return;
  rlimit lifted = *limit;
  lifted.rlim_cur = numbers;
  if (::prlimit(pid, RLIMIT_NOFILE, &lifted, nullptr) == 0) before_ = *limit;
}

LiftedFiles::~LiftedFiles() {
  if (before_) ::prlimit(pid_, RLIMIT_NOFILE, &*before_, nullptr);
}

Step connect_socket(HomeSide& home, StoppedProcess& stop) {
  StoppedThread& t = stop.threads().front();
  const uint32_t slot = home.is_in_arena(t) ? home.slot_of(t) : 0;
  const LiftedFiles lifted(home.pid, static_cast<uint64_t>(home.fd_base) + home.state.nslots + 1);
  // If the program has used up its own numbers, those of slots without a thread serve meanwhile: no thread is running.
  std::vector<int> spare;
  for (uint32_t i = home.state.nslots;
       home.state.row_is_full && i > home.state.slots_ready && spare.size() < 2;)
    spare.push_back(home.fd_base + 1 + static_cast<int>(--i));
  SessionMaker maker(stop, t, *home.target, home.stack_of(slot),
                     slot_address(home.arena, slot) + kScratch, std::move(spare));
  home.socket->connect(OM_TRY(maker.make(home.fd_base)));
  return Done{};
}

Step meet(HomeSide& home, StoppedProcess& stop) {
  if (home.socket->fd() >= 0 || stop.threads().empty()) return Done{};
  OM_TRY(take_back_lent(home, stop));
  if (stop.threads().empty()) return refuse(ReasonCode::kNoSuchProcess, "it has ended");
  StoppedThread& t = stop.threads().front();
  if (!home.is_in_arena(t)) return refuse(ReasonCode::kInternal, "thread {} has left libom", t.tid);
  OM_TRY(guard_executor(home, t));
  OM_TRY(connect_socket(home, stop));
  // It may have to run before the process is released.
  OM_MUST_VOID(t.tracee.set_signal_mask(t.kernel.sigmask));
  OM_MUST_VOID(t.tracee.set_regs(t.regs));
  return Done{};
}

}  // namespace om::deputy
