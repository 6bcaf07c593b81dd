// SPDX-License-Identifier: Apache-2.0
#include "deputy/home/plan_return.h"

#include <errno.h>
#include <sys/syscall.h>

#include <algorithm>
#include <optional>

#include "test/unit/deputy/made_up.h"

namespace om::deputy {
namespace {

constexpr int64_t kErestartsys = -512;
const uint64_t kBehind = MadeUpHome::behind(), kAt = MadeUpHome::at();
constexpr uint64_t kMask = 0x5000;

// A thread of a body, and its executor at home.
struct Halves {
  ThreadState body{};
  HomeThread at_home{};
  int64_t rax = 0;  // of the executor

  Halves() {
    body.kind = kThreadUser;
    body.kernel.sigmask = kMask;
    body.kernel.fs_base = 0x6000;
    body.regs[kRip] = kBehind;
  }
  // The body waits for its call `nr`, the first of the epoch.
  HomeExec& waits(uint32_t nr) {
    body.kind = kThreadWaiting;
    body.nr = nr;
    body.seq = 1;
    HomeExec& e = at_home.call;
    e.seq = 1;
    e.nr = e.exec_nr = nr;
    return e;
  }
  Verdict<ThreadReturn> plan() const {
    MadeUpHome home;
    StoppedThread t = MadeUpHome::thread(home.side, 11, 0);
    t.regs.rax = static_cast<uint64_t>(rax);
    return plan_return(home.side, t, at_home, body);
  }
};

TEST_CASE("a thread that computes goes on where it is") {
  Halves halves;
  auto r = halves.plan();
  REQUIRE(r.ok());
  CHECK(r->regs.rip == kBehind);
  CHECK(r->regs.fs_base == 0x6000);
  CHECK(r->regs.orig_rax == ~0ull);
  CHECK(r->sigmask == kMask);
  CHECK(r->signals.empty());
  CHECK(!r->apply);
  CHECK(!r->late);
}

TEST_CASE("a finished call has its result") {
  Halves halves;
  HomeExec& e = halves.waits(SYS_read);
  halves.at_home.phase = kExecHeld;
  e.finished = 1;
  e.result = 17;
  auto r = halves.plan();
  REQUIRE(r.ok());
  CHECK(r->regs.rip == kBehind);
  CHECK(r->regs.rax == 17);
  CHECK(r->apply);
}

TEST_CASE("a call that was called off for a signal is made again, or says EINTR") {
  Halves halves;
  HomeExec& e = halves.waits(SYS_read);
  halves.at_home.phase = kExecHeld;
  e.finished = 1;
  e.ret_flags = kRetRestart;
  auto again = halves.plan();
  REQUIRE(again.ok());
  CHECK(again->regs.rip == kAt);
  CHECK(again->regs.rax == SYS_read);
  e.ret_flags = kRetEintr;
  auto interrupted = halves.plan();
  REQUIRE(interrupted.ok());
  CHECK(interrupted->regs.rip == kBehind);
  CHECK(interrupted->regs.rax == static_cast<uint64_t>(-EINTR));
  // With a mask of its own the call runs the handler natively, and returns EINTR by itself.
  e.nr = e.exec_nr = halves.body.nr = SYS_ppoll;
  auto masked = halves.plan();
  REQUIRE(masked.ok());
  CHECK(masked->regs.rip == kAt);
}

TEST_CASE("a blocked call is restarted by the kernel at the program's instruction") {
  Halves halves;
  halves.waits(SYS_read);
  halves.at_home.phase = kExecCall;
  halves.rax = kErestartsys;
  auto r = halves.plan();
  REQUIRE(r.ok());
  CHECK(r->regs.rip == kBehind);
  CHECK(r->regs.orig_rax == SYS_read);
  CHECK(r->regs.rax == static_cast<uint64_t>(kErestartsys));
}

TEST_CASE("the rest of a transfer stays in libom") {
  Halves halves;
  HomeExec& e = halves.waits(SYS_write);
  halves.at_home.phase = kExecCall;
  halves.rax = kErestartsys;
  e.done = 100;
  auto r = halves.plan();
  REQUIRE(r.ok());
  CHECK(r->late);
}

TEST_CASE(
    "signals that the body has not been told of are raised again, under the mask before the "
    "first") {
  Halves halves;
  HomeThread& h = halves.at_home;
  h.noted_tail = 31;  // wraps around the ring's end
  h.noted_head = 33;
  h.noted[31].number = 10;
  h.noted[31].frame_mask = 0x77;
  h.noted[0].number = 12;
  auto r = halves.plan();
  REQUIRE(r.ok());
  REQUIRE(r->signals.size() == 2);
  CHECK(r->signals[0].number == 10);
  CHECK(r->signals[1].number == 12);
  CHECK(r->sigmask == 0x77);

  // One of them is part of a Return that the body has taken.
  HomeExec& e = halves.waits(SYS_read);
  halves.body.kind = kThreadUser;
  halves.body.returned = e.seq;
  h.noted_sent = 1;
  auto told = halves.plan();
  REQUIRE(told.ok());
  REQUIRE(told->signals.size() == 1);
  CHECK(told->signals[0].number == 12);
}

TEST_CASE("halves that do not match are refused") {
  Halves halves;
  HomeExec& e = halves.waits(SYS_read);
  halves.at_home.phase = kExecHeld;
  e.finished = 1;
  e.seq = 2;
  auto other = halves.plan();
  REQUIRE(!other.ok());
  CHECK(other.error().code == ReasonCode::kInternal);
  e.seq = 1;
  e.finished = 0;
  CHECK(!halves.plan().ok());
}

}  // namespace
}  // namespace om::deputy
