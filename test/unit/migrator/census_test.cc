// SPDX-License-Identifier: Apache-2.0
//
// migrator/processes/census.h: scans and looks do not block the loop, and no user's processes make others wait for
// long.
#include "migrator/processes/census.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "common/proc/stat.h"

namespace om::migrator {
namespace {

using Membership = ProcessTable::Membership;

// Children that do nothing, and are all there is to find.
struct Sleepers {
  std::vector<pid_t> pids;
  explicit Sleepers(size_t count) {
    while (pids.size() < count) {
      const pid_t pid = ::fork();
      if (pid == 0) {
        ::execl("/bin/sleep", "sleep", "1000", nullptr);
        ::_exit(1);
      }
      pids.push_back(pid);
    }
  }
  ~Sleepers() {
    for (pid_t pid : pids) ::kill(pid, SIGKILL);
    for (pid_t pid : pids) ::waitpid(pid, nullptr, 0);
  }
  bool has(pid_t pid) const { return std::find(pids.begin(), pids.end(), pid) != pids.end(); }
};

uint64_t proc_start(pid_t pid) { return proc::read_stat(pid)->startstack; }

// A look that blocks until it is released.
struct Gate {
  std::mutex mutex;
  std::condition_variable changed;
  bool open = false;
  void let_go() {
    std::lock_guard<std::mutex> lock(mutex);
    open = true;
    changed.notify_all();
  }
  void wait() {
    std::unique_lock<std::mutex> lock(mutex);
    changed.wait(lock, [this] { return open; });
  }
};

TEST_CASE("many who ask at once share a scan, and what is known is not looked at again") {
  Loop loop;
  SystemClock clock;
  Sleepers sleepers(3);
  std::mutex mutex;
  std::map<pid_t, int> looks;
  Census census(
      loop, clock,
      [&](pid_t pid) {
        std::lock_guard<std::mutex> lock(mutex);
        ++looks[pid];
        return sleepers.has(pid) ? Membership::kMember : Membership::kNotLoaded;
      },
      [] { return std::vector<ProcessId>(); });
  std::vector<size_t> answers;
  for (int i = 0; i < 200; ++i)
    census.scan([&](const std::vector<ProcessInfo>& found) { answers.push_back(found.size()); });
  loop.run();
  CHECK(answers == std::vector<size_t>(200, 3));
  CHECK(census.scans() <= 2);  // the first begins before the others ask
  const auto begun = clock.now();
  for (int i = 0; i < 5; ++i) {
    census.scan([&](const std::vector<ProcessInfo>& found) { answers.push_back(found.size()); });
    loop.run();
  }
  CHECK(clock.now() - begun >= 4 * Census::kPeriod);
  for (pid_t pid : sleepers.pids) {
    // Perhaps once as the product of fork(), and once after exec.
    CHECK(looks[pid] >= 1);
    CHECK(looks[pid] <= 2);
  }
  CHECK(looks[::getpid()] <= 5);  // 7 scans; it might load libom yet
}

TEST_CASE("a survey finds members, new ones too, and does not look again at what it knows") {
  Loop loop;
  SystemClock clock;
  Sleepers sleepers(3);
  std::mutex mutex;
  std::map<pid_t, int> looks;
  Sleepers* more = nullptr;
  Census census(
      loop, clock,
      [&](pid_t pid) {
        std::lock_guard<std::mutex> lock(mutex);
        ++looks[pid];
        const bool ours = sleepers.has(pid) || (more != nullptr && more->has(pid));
        return ours ? Membership::kMember : Membership::kNotLoaded;
      },
      [] { return std::vector<ProcessId>(); });
  std::vector<ProcessId> members;
  const auto survey = [&] {
    members.clear();
    census.survey([&](std::vector<ProcessId> found) { members = std::move(found); });
    loop.run();
    return members.size();
  };
  CHECK(survey() == 3);
  for (const ProcessId& id : members) CHECK(id == *ProcessId::of(id.pid));
  for (int i = 0; i < 20; ++i) survey();
  {
    std::lock_guard<std::mutex> lock(mutex);
    for (pid_t pid : sleepers.pids) CHECK(looks[pid] <= 2);  // as above
  }
  {
    Sleepers second(2);
    more = &second;
    CHECK(survey() == 5);
    // A scan at the same time takes nothing from it.
    size_t scanned = 0;
    census.scan([&](const std::vector<ProcessInfo>& found) { scanned = found.size(); });
    CHECK(survey() == 5);
    CHECK(scanned == 5);
    more = nullptr;
  }
  // What has ended may be told of for some time.
  while (survey() != 3) ::usleep(10000);
}

TEST_CASE("a process with a deputy is described whatever it is") {
  Loop loop;
  SystemClock clock;
  Sleepers sleepers(1);
  const ProcessId other = *ProcessId::of(sleepers.pids[0]);
  ProcessId recycled = *ProcessId::of(::getpid());
  recycled.start_ticks += 1;
  Census census(
      loop, clock, [](pid_t) { return Membership::kNotLoaded; },
      [&] {
        return std::vector<ProcessId>{other, recycled};
      });
  std::vector<ProcessInfo> found;
  census.scan([&](const std::vector<ProcessInfo>& all) { found = all; });
  loop.run();
  REQUIRE(found.size() == 1);
  CHECK(found[0].id == other);
}

TEST_CASE("an exec is noticed") {
  Loop loop;
  SystemClock clock;
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  const pid_t pid = ::fork();
  if (pid == 0) {
    char go;
    while (::read(ends[0], &go, 1) < 0) {
    }
    ::execl("/bin/sleep", "sleep", "1000", nullptr);
    ::_exit(1);
  }
  std::atomic<int> looks{0};
  std::atomic<Membership> now{Membership::kMember};
  Census census(
      loop, clock,
      [&](pid_t seen) {
        looks += seen == pid ? 1 : 0;
        return now.load();
      },
      [] { return std::vector<ProcessId>(); });
  std::vector<Membership> answers;
  const auto ask = [&] {
    census.look(1, pid, [&](Membership membership) { answers.push_back(membership); });
    loop.run();
  };
  ask();
  now = Membership::kOtherNode;
  ask();  // the same program: nothing is looked at again
  const auto before = proc_start(pid);
  REQUIRE(::write(ends[1], "x", 1) == 1);
  while (proc_start(pid) == before) ::usleep(1000);
  ask();
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
  ask();
  CHECK(answers == std::vector<Membership>{Membership::kMember, Membership::kMember,
                                           Membership::kOtherNode, Membership::kGone});
  CHECK(looks == 2);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_CASE("a slow look holds up neither the loop nor another user for longer than itself") {
  Loop loop;
  SystemClock clock;
  Sleepers sleepers(4);
  Gate gate;
  std::atomic<int> waiting{0};
  Census census(
      loop, clock,
      [&](pid_t pid) {
        if (pid == sleepers.pids[0]) {
          ++waiting;
          gate.wait();
        }
        return Membership::kNotLoaded;
      },
      [] { return std::vector<ProcessId>(); });
  std::vector<int> order;
  // User 1 asks four times, user 2 once; user 2 is answered right after the look in progress.
  for (int i = 0; i < 4; ++i)
    census.look(1, sleepers.pids[static_cast<size_t>(i)],
                [&, i](Membership) { order.push_back(i); });
  census.look(2, ::getpid(), [&](Membership) { order.push_back(100); });
  Timer timer(loop);
  int ticks = 0;
  timer.start_repeating(Milliseconds(1), [&] {
    if (waiting == 0 || ++ticks < 5) return;
    timer.stop();
    CHECK(order.empty());
    gate.let_go();
  });
  loop.run();
  CHECK(ticks == 5);
  CHECK(order == std::vector<int>{0, 100, 1, 2, 3});
}

}  // namespace
}  // namespace om::migrator
