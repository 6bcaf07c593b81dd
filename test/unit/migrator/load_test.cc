// SPDX-License-Identifier: Apache-2.0
//
// migrator/load: what is read of the kernel's texts, the mean of the last second, cores, the speed and its file.
#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "common/base/text.h"
#include "migrator/load/load.h"
#include "migrator/load/load_sampler.h"
#include "migrator/load/own_speed.h"
#include "migrator/load/readings.h"
#include "migrator/load/speed.h"
#include "migrator/load/topology.h"

namespace om::migrator {
namespace {

MonotonicTime at(int ms) { return MonotonicTime(Milliseconds(ms)); }

struct Directory {
  std::string path = "/tmp/om-load-test-XXXXXX";
  Directory() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~Directory() { std::filesystem::remove_all(path); }
};

TEST_CASE("meminfo and loadavg") {
  auto memory = parse_meminfo(
      "MemTotal:       1024 kB\nMemFree: 1 kB\nMemAvailable:    512 kB\nSwapCached: 7 kB\n"
      "SwapTotal: 64 kB\nSwapFree: 32 kB\n");
  REQUIRE(memory.ok());
  CHECK(memory->total_bytes == 1 << 20);
  CHECK(memory->available_bytes == 1 << 19);
  CHECK(memory->swap_bytes == 1 << 16);
  CHECK(memory->swap_free_bytes == 1 << 15);
  CHECK_FALSE(parse_meminfo("").ok());
  CHECK_FALSE(parse_meminfo("MemTotal: x kB\n").ok());
  CHECK_FALSE(parse_meminfo("MemTotal: 18446744073709551615 kB\n").ok());
  CHECK(*parse_loadavg("0.25 1.00 2.00 1/5 7") == 25);
  CHECK_FALSE(parse_loadavg("").ok());
  CHECK_FALSE(parse_loadavg("nan 1 1").ok());
  CHECK_FALSE(parse_loadavg("-1 1 1").ok());
}

TEST_CASE("runnable threads, pressure and the name of the CPU") {
  CHECK(*parse_running("0.25 1.00 2.00 3/512 4711\n") == 3);
  for (const char* bad : {"", "1 2 3", "1 2 3 4 5", "1 2 3 -1/5 6", "1 2 3 4/ 5", "1 2 3 x/5 6"})
    CHECK_FALSE(parse_running(bad).ok());
  CHECK(*parse_pressure("some avg10=12.50 avg60=1.00 avg300=0.00 total=64568\n"
                        "full avg10=3.00 avg60=0.00 avg300=0.00 total=17869\n") == 12.5);
  for (const char* bad : {"", "full avg10=1.00\n", "some avg60=1.00\n", "some avg10=101\n",
                          "some avg10=nan\n", "some avg10=-1\n", "some\n"})
    CHECK_FALSE(parse_pressure(bad).ok());
  CHECK(parse_cpu_name("processor\t: 0\nmodel name\t: AMD EPYC 1\nmodel name : x\n") ==
        "AMD EPYC 1");
  CHECK(parse_cpu_name("processor\t: 0\nmodel\t: 7\n").empty());
  CHECK(parse_cpu_name("model name: " + std::string(500, 'x')).size() == kMaxCpuName);
}

TEST_CASE("running is the mean of the last second") {
  Load load;
  CHECK(load.running(at(0)) == 0);
  load.add_running(at(0), 4);
  CHECK(load.running(at(0)) == 4);
  load.add_running(at(100), 2);
  load.add_running(at(200), 0);
  CHECK(load.running(at(200)) == 2);
  CHECK(load.running(at(999)) == 2);
  CHECK(load.running(at(1000)) == 1);  // the first is a second old
  CHECK(load.running(at(1150)) == 0);
  load.add_running(at(1150), 3);
  CHECK(load.running(at(1150)) == 1.5);
  // The loop was held up: the last one is the best there is.
  CHECK(load.running(at(60000)) == 3);
  load.add_running(at(60000), -1);  // nothing but the reader itself, which had just stopped
  CHECK(load.running(at(60000)) == 0);
}

TEST_CASE("lists of CPUs") {
  CHECK(*parse_cpu_list("0\n") == std::vector<uint32_t>{0});
  CHECK(*parse_cpu_list("0,4-6,9") == std::vector<uint32_t>{0, 4, 5, 6, 9});
  for (const char* bad : {"", "\n", "a", "1-", "-1", "3-2", "2,1", "1,1", "0-8192", "1,,2",
                          "0-4294967295", "99999999999"})
    CHECK_FALSE(parse_cpu_list(bad).ok());
}

TEST_CASE("cores are counted by who shares one") {
  std::map<uint32_t, std::string> siblings;
  const auto read = [&siblings](uint32_t cpu) -> Result<std::string> {
    const auto found = siblings.find(cpu);
    if (found == siblings.end()) return Error{ENOENT, "siblings"};
    return found->second;
  };
  const std::vector<uint32_t> all{0, 1, 2, 3};
  siblings = {{0, "0,2\n"}, {1, "1,3\n"}, {2, "0,2\n"}, {3, "1,3\n"}};
  CHECK(count_cpus(all, read) == CpuCounts{2, 4});
  siblings = {{0, "0-1"}, {1, "0-1"}, {2, "2"}, {3, "3"}};
  CHECK(count_cpus(all, read) == CpuCounts{3, 4});
  SUBCASE("only those that may be used count, also without the first of their core") {
    siblings = {{0, "0-1"}, {1, "0-1"}, {2, "2-3"}, {3, "2-3"}};
    CHECK(count_cpus(std::vector<uint32_t>{1, 3}, read) == CpuCounts{2, 2});
    CHECK(count_cpus(std::vector<uint32_t>{1, 2, 3}, read) == CpuCounts{2, 3});
  }
  SUBCASE("without an answer, or with one that cannot be, each CPU is a core") {
    CHECK(count_cpus(all, [](uint32_t) -> Result<std::string> {
            return Error{ENOENT, ""};
          }) == CpuCounts{4, 4});
    siblings[1] = "2-3";  // not itself
    CHECK(count_cpus(all, read) == CpuCounts{4, 4});
    siblings = {{0, "0"}, {1, "0-1"}, {2, "2"}, {3, "3"}};  // 0 knows nothing of it
    CHECK(count_cpus(all, read) == CpuCounts{4, 4});
    siblings[1] = "";
    CHECK(count_cpus(all, read) == CpuCounts{4, 4});
  }
  CHECK(count_cpus({}, read) == CpuCounts{1, 1});
  const auto own = allowed_cpus();
  REQUIRE(own.ok());
  const CpuCounts counts = read_cpu_counts(*own);
  CHECK(counts.threads == own->size());
  CHECK(counts.cores >= 1);
  CHECK(counts.cores <= counts.threads);
}

TEST_CASE("the speed and its file") {
  CHECK(speed_of(0) == kHighestSpeed);
  CHECK(speed_of(UINT64_MAX) == kLowestSpeed);
  CHECK(speed_of(1'000'000) == 2 * speed_of(2'000'000));
  const auto turn = measure_turn_ns();
  REQUIRE(turn.ok());
  CHECK(*turn > 0);
  const auto again = read_speed(to_text({12345, "A \"quoted\" CPU"}));
  REQUIRE(again.ok());
  CHECK(again->speed == 12345);
  CHECK(again->cpu == "A \"quoted\" CPU");
  for (const char* bad :
       {"", "10000", "{}", R"({"kernel":1,"speed":10000})", R"({"kernel":2,"speed":1000,"cpu":""})",
        R"({"kernel":1,"speed":9,"cpu":""})", R"({"kernel":1,"speed":655351,"cpu":""})",
        R"({"kernel":1,"speed":"fast","cpu":""})", R"({"kernel":1,"speed":1000,"cpu":7})"})
    CHECK_FALSE(read_speed(bad).ok());
}

TEST_CASE("the speed is measured once, and again for another CPU") {
  Directory directory;
  auto state = OwnDirectory::open(directory.path);
  REQUIRE(state.ok());
  Loop loop;
  {
    OwnSpeed given(loop, *state, 777);
    CHECK(given.now() == 777u);
    loop.run();
    CHECK_FALSE(state->has("speed"));
  }
  {
    OwnSpeed measured(loop, *state, std::nullopt);
    CHECK_FALSE(measured.now());
    loop.run();
    CHECK(measured.now() >= kLowestSpeed);
    CHECK(read_speed(*state->read("speed"))->speed == *measured.now());
  }
  auto kept = *read_speed(*state->read("speed"));
  kept.speed = kHighestSpeed;  // nobody measures that
  REQUIRE(state->replace("speed", to_text(kept), 0644).ok());
  CHECK(OwnSpeed(loop, *state, std::nullopt).now() == kHighestSpeed);
  for (const std::string& text : {to_text({kHighestSpeed, "another"}), std::string("rubbish\n")}) {
    REQUIRE(state->replace("speed", text, 0644).ok());
    OwnSpeed anew(loop, *state, std::nullopt);
    CHECK_FALSE(anew.now());
    loop.run();
    CHECK(anew.now() < kHighestSpeed);
    CHECK(read_speed(*state->read("speed"))->cpu == kept.cpu);
  }
}

TEST_CASE("the sampler reads the machine, or asks for one count at a time") {
  Loop loop;
  SystemClock clock;
  std::vector<LoadSampler::Told> asked;
  {
    LoadSampler machine(loop, clock, nullptr);
    CHECK(machine.load().memory().total_bytes > 0);
    LoadSampler own(loop, clock, [&](LoadSampler::Told told) { asked.push_back(std::move(told)); });
    while (asked.empty()) loop.run_once();
    CHECK(own.running() == 0);
    loop.run_once();
    loop.run_once();
    CHECK(asked.size() == 1);
    asked[0](5);
    CHECK(own.running() == 5);
    while (asked.size() == 1) loop.run_once();
  }
  asked[1](7);  // the sampler is gone
  loop.run();
}

}  // namespace
}  // namespace om::migrator
