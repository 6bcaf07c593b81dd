// SPDX-License-Identifier: Apache-2.0
#include "migrator/load/speed.h"

#include <time.h>

#include <algorithm>
#include <vector>

#include <nlohmann/json.hpp>

#include "common/base/text.h"
#include "common/net/json_line.h"
#include "migrator/load/readings.h"

namespace om::migrator {
namespace {

// A turn on the reference: a core of an AMD EPYC server, as a virtual machine has it. Whoever changes turn() measures
// it again and gives kKernel another number, which invalidates what nodes have kept.
constexpr uint64_t kReferenceNs = 470'000;
constexpr int64_t kKernel = 1;
constexpr uint64_t kMeasuredNs = 50'000'000;
constexpr int kLeastTurns = 3, kMostTurns = 10'000;
// 512 KiB: more than a first-level cache, less than most second-level ones.
constexpr size_t kWords = 1 << 16;
constexpr int kSteps = 100'000;

Result<uint64_t> cpu_time_ns() {
  timespec time{};
  if (::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) != 0) return errno_error("clock_gettime");
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
}

// Each step depends on the one before: a generator of random numbers, a load and a store where it points to, a branch
// that cannot be foreseen, a multiplication. What it returns must be used, lest it is optimised away.
uint64_t turn(std::vector<uint64_t>& words, uint64_t seed) {
  uint64_t x = seed | 1, sum = 0;
  for (int step = 0; step < kSteps; ++step) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    uint64_t& word = words[x % kWords];
    sum += word;
    if ((sum & 1) != 0) {
      word = sum * 0x9e3779b97f4a7c15;
    } else {
      x += word >> 5;
    }
    x |= 1;
  }
  return sum + x;
}

}  // namespace

uint32_t speed_of(uint64_t turn_ns) {
  const uint64_t speed = kReferenceNs * kReferenceSpeed / std::max<uint64_t>(turn_ns, 1);
  return static_cast<uint32_t>(std::clamp<uint64_t>(speed, kLowestSpeed, kHighestSpeed));
}

Result<uint64_t> measure_turn_ns() {
  std::vector<uint64_t> words(kWords);
  for (size_t i = 0; i < kWords; ++i) words[i] = i * 0x9e3779b97f4a7c15;
  const uint64_t begin = OM_TRY(cpu_time_ns());
  uint64_t last = begin, best = UINT64_MAX, seed = begin;
  for (int turns = 0; turns < kMostTurns; ++turns) {
    if (turns >= kLeastTurns && last - begin >= kMeasuredNs) break;
    seed += turn(words, seed);
    const uint64_t now = OM_TRY(cpu_time_ns());
    best = std::min(best, now - last);
    last = now;
  }
  volatile uint64_t used = seed;
  static_cast<void>(used);
  return best;
}

std::string to_text(const SpeedRecord& record) {
  return to_json_line({{"kernel", kKernel}, {"speed", record.speed}, {"cpu", record.cpu}});
}

Result<SpeedRecord> read_speed(std::string_view text) {
  std::string_view rest = text;
  const Json json = OM_TRY(parse_json_line(rest.empty() ? rest : take_line(rest)));
  OM_TRY(json_int(json, "kernel", kKernel, kKernel));
  SpeedRecord record;
  record.speed =
      static_cast<uint32_t>(OM_TRY(json_int(json, "speed", kLowestSpeed, kHighestSpeed)));
  record.cpu = OM_TRY(json_string(json, "cpu", 4 * kMaxCpuName));
  return record;
}

}  // namespace om::migrator
