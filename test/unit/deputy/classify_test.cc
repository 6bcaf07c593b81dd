// SPDX-License-Identifier: Apache-2.0
//
// What threads are doing, judged by made-up registers. "Behind" is where a thread is after a stop has taken it out of a
// call, "at" is its system call instruction, where the kernel makes it repeat the call.
#include "deputy/home/classify.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>

#include <array>

#include "deputy/base/host.h"
#include "test/unit/deputy/made_up.h"

namespace om::deputy {
namespace {

constexpr int64_t kErestartsys = -512, kErestartnointr = -513, kErestartBlock = -516;
const uint64_t kBehind = MadeUpHome::behind(), kAt = MadeUpHome::at();
constexpr uint64_t kRestartSyscall = 219;

class Classified {
 public:
  Classified(uint64_t nr, int64_t rax, const uint64_t (&args)[6], double blocked_ms = 0) {
    StoppedThread t = MadeUpHome::thread(home_.side, 11, -1);
    MadeUpHome::in_call(t, nr, rax, args);
    t.blocked_ms = blocked_ms;
    auto found = classify(*home_.side.target, t);
    if (found) {
      plan = *found;
    } else {
      refused = found.error();
    }
  }

  ThreadPlan plan;
  std::optional<Reason> refused;

 private:
  MadeUpHome home_;
};

class Sockets {
 public:
  Sockets() { REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends_) == 0); }
  ~Sockets() {
    ::close(ends_[0]);
    ::close(ends_[1]);
  }
  uint64_t end() const { return static_cast<uint64_t>(ends_[0]); }

 private:
  int ends_[2];
};

TEST_CASE("a thread in program code runs on in the body") {
  MadeUpHome home;
  StoppedThread t = MadeUpHome::thread(home.side, 11, -1);
  t.regs.rip = 0x1234;
  t.regs.rax = static_cast<uint64_t>(-EINTR);  // a number of the program's own
  auto plan = classify(*home.side.target, t);
  REQUIRE(plan.ok());
  CHECK(plan->state.kind == kThreadUser);
  CHECK(plan->at_home == AtHome::kIdle);
  CHECK(plan->state.regs[kRip] == 0x1234);
  CHECK(plan->state.tid == 11);
}

TEST_CASE("a blocked read stays at home, and the kernel restarts it there") {
  char byte = 0;
  const Classified read(SYS_read, kErestartsys, {0, address_of(&byte), 1});
  REQUIRE(!read.refused);
  CHECK(read.plan.state.kind == kThreadWaiting);
  CHECK(read.plan.state.nr == SYS_read);
  CHECK(read.plan.state.args[1] == address_of(&byte));
  CHECK(read.plan.state.regs[kRip] == kBehind);
  CHECK(read.plan.at_home == AtHome::kRestart);
  // If it stays after all, it repeats the call.
  CHECK(read.plan.resume.rip == kAt);
  CHECK(read.plan.resume.rax == SYS_read);
}

TEST_CASE("a call that the kernel repeats in any case is made again by the body") {
  const Classified call(SYS_wait4, kErestartnointr, {});
  REQUIRE(!call.refused);
  CHECK(call.plan.state.kind == kThreadUser);
  CHECK(call.plan.state.regs[kRip] == kAt);
}

TEST_CASE("a wait for memory is the body's, a relative one wakes up") {
  uint32_t word = 0;
  timespec second{1, 0};
  const Classified forever(SYS_futex, kErestartsys, {address_of(&word), FUTEX_WAIT_PRIVATE, 0, 0});
  REQUIRE(!forever.refused);
  CHECK(forever.plan.state.kind == kThreadUser);
  CHECK(forever.plan.state.regs[kRip] == kAt);
  CHECK(forever.plan.state.regs[kRax] == SYS_futex);

  const Classified timed(SYS_futex, kErestartBlock,
                         {address_of(&word), FUTEX_WAIT_PRIVATE, 0, address_of(&second)});
  REQUIRE(!timed.refused);
  CHECK(timed.plan.state.regs[kRip] == kBehind);
  CHECK(timed.plan.state.regs[kRax] == 0);
}

TEST_CASE("a call that forgets its remaining time is issued again with what is left of it") {
  pollfd none{-1, 0, 0};
  const uint64_t before = now_ns(CLOCK_MONOTONIC);
  constexpr uint64_t kTimeoutMs = 5000, kNsPerMs = 1000000;
  const Classified wait(SYS_epoll_wait, -EINTR, {3, address_of(&none), 1, kTimeoutMs}, 2000);
  REQUIRE(!wait.refused);
  CHECK(wait.plan.at_home == AtHome::kReissue);
  CHECK(wait.plan.deadline_ns >= before + 3000 * kNsPerMs);
  CHECK(wait.plan.deadline_ns <= now_ns(CLOCK_MONOTONIC) + 3000 * kNsPerMs);
}

TEST_CASE("EINTR of a call that does not wait is its own answer") {
  const Classified closed(SYS_close, -EINTR, {3});
  REQUIRE(!closed.refused);
  CHECK(closed.plan.state.kind == kThreadUser);
  CHECK(closed.plan.state.regs[kRip] == kBehind);
  CHECK(closed.plan.state.regs[kRax] == static_cast<uint64_t>(-EINTR));
}

TEST_CASE("what is left of a transfer that the stop has cut goes on at home") {
  const Sockets sockets;
  std::array<char, 100> buffer;
  const Classified cut(SYS_write, 40, {sockets.end(), address_of(buffer.data()), buffer.size()});
  REQUIRE(!cut.refused);
  CHECK(cut.plan.state.kind == kThreadWaiting);
  CHECK(cut.plan.at_home == AtHome::kContinue);
  const Classified whole(SYS_write, 100, {sockets.end(), address_of(buffer.data()), buffer.size()});
  CHECK(whole.plan.state.kind == kThreadUser);
}

TEST_CASE("a call that only home can end is refused") {
  const Classified waits(SYS_vfork, kErestartsys, {});
  REQUIRE(waits.refused);
  CHECK(waits.refused->code == ReasonCode::kInCall);
}

TEST_CASE("a restarted sleep is told from a restarted poll by what its arguments can be") {
  timespec left{3, 0};
  const Classified sleep(kRestartSyscall, kErestartBlock,
                         {address_of(&left), address_of(&left), 0x7fffffffffff, 0});
  REQUIRE(!sleep.refused);
  CHECK(sleep.plan.state.nr == SYS_nanosleep);
  const Classified neither(kRestartSyscall, kErestartBlock, {1, 2, 0, 0});
  REQUIRE(neither.refused);
  CHECK(neither.refused->code == ReasonCode::kInCall);
}

}  // namespace
}  // namespace om::deputy
