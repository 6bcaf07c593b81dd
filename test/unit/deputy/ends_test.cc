// SPDX-License-Identifier: Apache-2.0
//
// Processes that end while the deputy is working on them: it must report exactly that, and at once.
#include <doctest/doctest.h>
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <thread>

#include "common/proc/process.h"
#include "common/proc/stat.h"
#include "deputy/home/target.h"
#include "deputy/home/tracee.h"

extern "C" char ends_test_call[];
asm("ends_test_call: syscall\n jmp ends_test_call");

using namespace om;
using namespace om::deputy;

namespace {

constexpr auto kLimit = std::chrono::seconds(20);
constexpr auto kLook = std::chrono::milliseconds(1);

// A process that waits to be killed.
class Victim {
 public:
  explicit Victim(bool with_thread) {
    pid_ = fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) {
      if (with_thread) std::thread(wait).detach();
      wait();
    }
  }
  ~Victim() {
    end();
    ::waitpid(pid_, nullptr, 0);
  }
  void end() const { ::kill(pid_, SIGKILL); }
  pid_t pid() const { return pid_; }

  bool reaches(char state) const {
    const auto limit = std::chrono::steady_clock::now() + kLimit;
    while (std::chrono::steady_clock::now() < limit) {
      const auto stat = proc::read_stat(pid_);
      if (stat && stat->state == state) return true;
      std::this_thread::sleep_for(kLook);
    }
    return false;
  }
  std::vector<pid_t> threads(size_t count) const {
    for (;;) {
      auto tids = proc::list_tasks(pid_);
      REQUIRE(tids.ok());
      if (tids->size() == count) return *tids;
      std::this_thread::sleep_for(kLook);
    }
  }

 private:
  [[noreturn]] static void wait() {
    for (;;) ::pause();
  }
  pid_t pid_;
};

}  // namespace

TEST_CASE("a process that has ended is none, whoever its remains belong to") {
  Victim victim(false);
  victim.end();
  REQUIRE(victim.reaches('Z'));
  CHECK(has_ended(victim.pid()));
  auto target = open_target(victim.pid());
  REQUIRE(!target);
  CHECK(target.error().code == ReasonCode::kNoSuchProcess);
}

// The kernel reports its end only after the other threads have been waited for, which nobody does meanwhile.
TEST_CASE("a main thread that ends in a call made for it is not waited for") {
  std::array<int, 2> pipe{};
  REQUIRE(::pipe(pipe.data()) == 0);
  Victim victim(true);
  std::vector<Tracee> tracees;
  for (pid_t tid : victim.threads(2)) {
    Tracee& t = tracees.emplace_back(tid);
    REQUIRE(t.seize().ok());
    t.interrupt();
    REQUIRE(t.wait_stop(Deadline::max()).ok());
  }
  auto regs = tracees.front().regs();
  REQUIRE(regs.ok());
  std::thread killer([&] {
    if (victim.reaches('S')) victim.end();
  });
  const uint64_t buffer = regs->rsp - 4096;
  const uint64_t args[] = {static_cast<uint64_t>(pipe[0]), buffer, 1};
  auto result =
      tracees.front().inject(*regs, reinterpret_cast<uint64_t>(&ends_test_call[0]), buffer,
                             SYS_read, args, std::chrono::steady_clock::now() + kLimit);
  killer.join();
  REQUIRE(!result.ok());
  CHECK(result.error().err == ESRCH);
  CHECK(tracees.front().gone());
  // As the deputy's exit would; the main thread is Victim's.
  ::waitpid(tracees.back().tid(), nullptr, __WALL);
  ::close(pipe[0]);
  ::close(pipe[1]);
}
