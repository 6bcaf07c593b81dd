// SPDX-License-Identifier: Apache-2.0
//
// migrator/processes/activity.h and usage.h: when processes are read, and what follows from the readings.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <thread>
#include <vector>

#include "migrator/processes/activity.h"
#include "migrator/processes/usage.h"

namespace om::migrator {
namespace {

MonotonicTime at(int ms) { return MonotonicTime(Milliseconds(ms)); }

const ProcessId kOne{10, 1};  // of those that are idle, read every 5 s

Usage usage(uint64_t cpu_ms, double running = 0) {
  Usage usage;
  usage.id = kOne;
  usage.cpu_ms = cpu_ms;
  usage.threads = 1;
  usage.running = running;
  return usage;
}

bool is_due(Activities& activities, int ms) { return !activities.due(at(ms)).empty(); }

TEST_CASE("who works is read twice a second, who sleeps every five seconds") {
  Activities activities;
  activities.set_members(at(0), {kOne});
  CHECK(activities.find(kOne) == nullptr);
  std::vector<int> read;
  for (int ms = 0; ms <= 30000; ms += 100) {
    activities.set_members(at(ms), {kOne});
    for (const auto& due : activities.due(at(ms))) {
      const bool active = ms < 5000 || (ms > 20000 && ms < 25000);
      CHECK(due.closely == (active && (ms < 5000 ? ms % 1000 == 0 : ms % 1000 == 500)));
      read.push_back(ms);
      // It computes between the readings at 15 and 20 s.
      activities.take(at(ms), usage(ms < 20000 ? 70 : 1070));
    }
  }
  std::vector<int> expected;
  for (int ms = 0; ms < 5500; ms += 500) expected.push_back(ms);
  for (int ms : {10000, 15000}) expected.push_back(ms);
  for (int ms = 20000; ms <= 25000; ms += 500) expected.push_back(ms);
  expected.push_back(30000);
  CHECK(read == expected);
  CHECK(activities.active(at(24000)).size() == 1);
  CHECK(activities.active(at(30000)).empty());
}

TEST_CASE("those that sleep are not all read at the same moment") {
  Activities activities;
  std::vector<ProcessId> many;
  for (pid_t pid = 1; pid <= 1000; ++pid) many.push_back({pid, 1});
  size_t most = 0, all = 0;
  for (int ms = 0; ms < 30000; ms += 500) {
    activities.set_members(at(ms), many);
    const auto due = activities.due(at(ms));
    for (const auto& one : due) {
      Usage idle = usage(5);
      idle.id = one.id;
      activities.take(at(ms), idle);
    }
    if (ms < 15000) continue;
    most = std::max(most, due.size());
    all += due.size();
  }
  CHECK(most <= 500);
  CHECK(all >= 3000);  // at least every five seconds
  CHECK(all <= 6000);
}

TEST_CASE("CPU use, running threads and age") {
  Activities activities;
  activities.set_members(at(0), {kOne});
  activities.take(at(0), usage(1000, 2));
  const Activity* activity = activities.find(kOne);
  REQUIRE(activity != nullptr);
  CHECK_FALSE(activity->cpu);
  CHECK(activity->running == 2);
  CHECK(activity->cpu_ms == 1000);
  activities.take(at(500), usage(1250, 0));
  CHECK(*activity->cpu == doctest::Approx(0.5));
  CHECK(activity->running == doctest::Approx(1));  // half of 2
  // More than was seen running at the moment of reading.
  activities.take(at(1000), usage(2750, 0));
  CHECK(*activity->cpu == doctest::Approx(3));
  CHECK(activity->running == doctest::Approx(3));
  // Of several threads nothing is known without a close look.
  Usage several = usage(2750, 0);
  several.threads = 4;
  activities.take(at(1250), several);
  CHECK(activity->running == doctest::Approx(3));
  several.switches = 0;
  activities.take(at(1375), several);
  CHECK(activity->running == doctest::Approx(1.5));
  activities.take(at(1500), usage(2700, 0));  // clocks of /proc may go back a little
  CHECK(*activity->cpu == 0);
  activities.take(at(2000), {.id = {99, 1}});  // unknown
  CHECK(activities.find({99, 1}) == nullptr);
  activities.set_members(at(2500), {{10, 2}});  // another process with this number
  CHECK(activities.find(kOne) == nullptr);
}

TEST_CASE("calls that would be forwarded are estimated at home") {
  Activities activities;
  activities.set_members(at(0), {kOne});
  auto read = [&](int ms, uint64_t cpu, uint64_t system, uint64_t faults, uint64_t switches) {
    Usage now = usage(cpu);
    now.system_ms = system;
    now.faults = faults;
    now.switches = switches;
    activities.take(at(ms), now);
    return activities.find(kOne)->calls_per_cpu_s;
  };
  CHECK(read(0, 0, 0, 0, 0) == 0);
  CHECK(read(500, 50, 0, 0, 500) == 0);  // too little to say
  // 0.2 s of CPU, 1000 times asleep.
  CHECK(read(1000, 200, 0, 0, 1000) == doctest::Approx(5000));
  // Half of the time in the kernel, without sleeping: 0.1 s * 200,000 in 0.2 s.
  CHECK(read(1500, 400, 100, 0, 1000) == doctest::Approx(100'000));
  // All of it for page faults.
  CHECK(read(2000, 600, 200, 1'000'000, 1000) == doctest::Approx(0));
  // Hardly any CPU: after five seconds it counts as well.
  CHECK(read(3000, 610, 200, 1'000'000, 1100) == doctest::Approx(0));
  CHECK(read(7000, 620, 200, 1'000'000, 1200) == doctest::Approx(10'000));
}

TEST_CASE("a process that is away is what its deputy says, and its age goes on") {
  Activities activities;
  activities.set_members(at(0), {kOne});
  activities.take(at(0), usage(1000, 1));
  auto away = [&](int ms, uint64_t cpu, uint64_t calls) {
    activities.set_members(at(ms), {kOne});
    activities.take_away(at(ms), kOne, {at(ms), cpu, calls, 1 << 20, 3});
    return *activities.find(kOne);
  };
  CHECK(away(1000, 100, 50).cpu_ms == 1100);
  CHECK_FALSE(is_due(activities, 60000));  // nothing happens here
  CHECK(activities.active(at(1000)).empty());
  Activity activity = away(2000, 600, 1050);
  CHECK(activity.cpu_ms == 1600);
  CHECK(*activity.cpu == doctest::Approx(0.5));
  CHECK(activity.running == doctest::Approx(0.5));
  CHECK(activity.rss_bytes == 1 << 20);
  CHECK(activity.calls_per_cpu_s == doctest::Approx(2000));
  activities.take_away(at(2500), kOne, {at(2000), 600, 1050, 1 << 20, 3});  // the same once more
  CHECK(*activities.find(kOne)->cpu == doctest::Approx(0.5));
  SUBCASE("it goes on to another node: a new body") {
    CHECK(away(3000, 10, 1060).cpu_ms == 1610);
    CHECK(away(4000, 510, 1560).calls_per_cpu_s == doctest::Approx(1000));
  }
  SUBCASE("it comes home") {
    activities.set_members(at(3000), {kOne});
    REQUIRE(is_due(activities, 3000));
    activities.take(at(3000), usage(1020, 1));
    CHECK(activities.find(kOne)->cpu_ms == 1620);
    activities.take(at(3500), usage(1520, 1));
    CHECK(*activities.find(kOne)->cpu == doctest::Approx(1));
    CHECK(activities.find(kOne)->cpu_ms == 2120);
    CHECK(away(4500, 30, 2000).cpu_ms == 2150);
  }
  SUBCASE("a deputy that counts backwards") {
    CHECK(away(3000, 700, 10).calls_per_cpu_s == doctest::Approx(2000));
    CHECK(away(4000, 900, 30).calls_per_cpu_s == doctest::Approx(100));
  }
}

TEST_CASE("voluntary switches are read from status") {
  CHECK(parse_switches(
            "Name:\tx\nvoluntary_ctxt_switches:\t150\nnonvoluntary_ctxt_switches:\t7\n") == 150u);
  CHECK_FALSE(parse_switches("nonvoluntary_ctxt_switches:\t7\n"));
  CHECK_FALSE(parse_switches("voluntary_ctxt_switches:\tx\n"));
  CHECK_FALSE(parse_switches(""));
}

TEST_CASE("this process is read from /proc, with all its threads") {
  const auto alone = read_usage(::getpid(), false);
  REQUIRE(alone.ok());
  CHECK(alone->id == *ProcessId::of(::getpid()));
  CHECK(alone->rss_bytes > 0);
  CHECK_FALSE(alone->switches);
  std::atomic<bool> stop = false;
  std::vector<std::thread> threads;
  for (int i = 0; i < 40; ++i) threads.emplace_back([&stop] { stop.wait(false); });
  const auto many = read_usage(::getpid(), true);
  stop = true;
  stop.notify_all();
  for (std::thread& thread : threads) thread.join();
  REQUIRE(many.ok());
  CHECK(many->threads >= 41);
  CHECK(many->switches);
  CHECK(many->running <= many->threads);
  CHECK(read_usage(0x7ffffff0, true).error().err == ESRCH);
}

}  // namespace
}  // namespace om::migrator
