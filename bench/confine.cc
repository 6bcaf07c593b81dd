// SPDX-License-Identifier: Apache-2.0
//
// What it costs to prepare a body that is confined: with namespaces of its own and a control group, and without, in
// turns. Prepare: from home's call to the launcher's answer that libom's place has been mapped, as guest/launch.cc does
// it. Ahead: to fork the process that waits for that call, as guest/keeper.cc does it.
//
//   bench_confine LAUNCHER ROUNDS
//
// Prints one JSON object: {"apart_us": [...], "bare_us": [...], "ahead_apart_us": [...], "ahead_bare_us": [...],
// "cgroup": "v1", "namespaces": true}.
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "common/base/log.h"
#include "guest/body_process.h"
#include "libom/abi/memory.h"
#include "migrator/moves/guest_groups.h"

namespace {

using namespace om;
using Clock = std::chrono::steady_clock;

// Where libom lies in a program of usual layout.
constexpr uint64_t kImage = 0x200000000000, kImageBytes = 1 << 20, kArena = 0x210000000000,
                   kGateBytes = 64 << 10;

// Microseconds between a session's begin and home's call for a body: the least that moves were seen to take is 355.
constexpr useconds_t kHomeTakes = 300;

[[noreturn]] void fail(const std::string& what) {
  fprintf(stderr, "bench_confine: %s\n", what.c_str());
  exit(1);
}

void enter(const std::vector<std::string>& files, pid_t pid) {
  const std::string text = std::to_string(pid);
  for (const std::string& file : files) {
    const UniqueFd fd(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
    if (::write(fd.get(), text.data(), text.size()) < 0) fail("cannot enter " + file);
  }
}

BodyMessage launch() {
  BodyMessage m{};
  m.type = kBodyLaunch;
  m.slot = 1;
  m.a = kImage;
  m.b = kImage + kImageBytes;
  m.c = kArena;
  m.d = arena_bytes(m.slot);
  m.e = kImage;
  m.f = kImage + kGateBytes;
  return m;
}

class Bench {
 public:
  explicit Bench(std::string launcher)
      : launcher_(std::move(launcher)),
        groups_(migrator::GuestGroups::find("om-bench-" + std::to_string(::getpid()), limits())) {}
  ~Bench() {
    groups_.sweep({});
    groups_.leave();
  }

  // Microseconds until a process waits, and from then on until a body is prepared.
  struct Times {
    double ahead, prepare;
  };
  Times prepare(bool confined) {
    guest::BodyPlan plan;
    plan.title = "bench";
    plan.cpus = 4096;
    plan.isolation = confined ? proc::Isolation::kTry : proc::Isolation::kOff;
    guest::BodyProcess body(io_, [](uint32_t) {});
    const auto begin = Clock::now();
    auto fresh = guest::FreshProcess::fork(launcher_, plan.isolation);
    if (!fresh) fail(fresh.error().text());
    const double ahead = microseconds(Clock::now() - begin);
    body.use(std::move(*fresh));
    ::usleep(kHomeTakes);
    const auto start = Clock::now();
    if (auto started = body.start(launcher_, plan); !started) fail(started.error().text());
    if (confined) {
      auto files = groups_.make(std::to_string(++number_));
      if (!files) fail(files.error().text());
      enter(*files, body.pid());
    }
    if (auto sent = body.send(launch()); !sent) fail(sent.error().text());
    const BodyMessage answer = body.receive().wait(io_.waitScope);
    const double took = microseconds(Clock::now() - start);
    if (answer.type != kBodyMapped || static_cast<int64_t>(answer.a) != 0)
      fail("the launcher has not mapped libom's place: " + std::to_string(answer.a));
    body.kill();
    groups_.sweep({});
    return {ahead, took};
  }

  static double microseconds(Clock::duration time) {
    return std::chrono::duration<double, std::micro>(time).count();
  }
  std::string groups() const { return groups_.kind(); }

 private:
  static migrator::GuestResources limits() {
    migrator::GuestResources limits;
    limits.cpu = proc::CpuShare::kLow;
    limits.memory_bytes = uint64_t{4} << 30;
    limits.threads = 256;
    return limits;
  }

  const std::string launcher_;
  migrator::GuestGroups groups_;
  kj::AsyncIoContext io_ = kj::setupAsyncIo();
  uint64_t number_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) fail("usage: bench_confine LAUNCHER ROUNDS");
  ::setenv("OM_LOG", "error", 1);
  log_init("bench_confine");
  Bench bench(argv[1]);
  std::vector<double> apart, bare, ahead_apart, ahead_bare;
  for (int round = -1; round < atoi(argv[2]); round++) {
    const bool first = round % 2 == 0;
    const Bench::Times one = bench.prepare(first), other = bench.prepare(!first);
    if (round < 0) continue;  // warm from here on
    apart.push_back((first ? one : other).prepare);
    bare.push_back((first ? other : one).prepare);
    ahead_apart.push_back((first ? one : other).ahead);
    ahead_bare.push_back((first ? other : one).ahead);
  }
  const nlohmann::json figures{{"apart_us", apart},
                               {"bare_us", bare},
                               {"ahead_apart_us", ahead_apart},
                               {"ahead_bare_us", ahead_bare},
                               {"cgroup", bench.groups()},
                               {"namespaces", proc::try_namespaces().ok()}};
  puts(figures.dump().c_str());
}
