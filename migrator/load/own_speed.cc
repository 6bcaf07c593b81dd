// SPDX-License-Identifier: Apache-2.0
#include "migrator/load/own_speed.h"

#include <utility>

#include "common/base/log.h"
#include "common/base/text.h"
#include "migrator/load/readings.h"
#include "migrator/load/speed.h"

namespace om::migrator {
namespace {

constexpr const char* kFile = "speed";

}  // namespace

OwnSpeed::OwnSpeed(Loop& loop, const OwnDirectory& state, std::optional<uint32_t> given)
    : state_(state), speed_(given) {
  if (speed_) return;
  const auto cpuinfo = read_text("/proc/cpuinfo");
  std::string cpu(cpuinfo ? parse_cpu_name(*cpuinfo) : "");
  if (state.has(kFile)) {
    const auto text = state.read(kFile);
    const auto kept = text ? read_speed(*text) : Result<SpeedRecord>(text.error());
    if (kept && kept->cpu == cpu) {
      speed_ = kept->speed;
      return;
    }
    if (!kept) log_info("load", "measuring the speed again: {}", kept.error().text());
  }
  measure(loop, std::move(cpu));
}

OwnSpeed::~OwnSpeed() { *alive_ = false; }

void OwnSpeed::measure(Loop& loop, std::string cpu) {
  auto found = std::make_shared<Result<uint64_t>>(uint64_t{0});
  run_in_pool(
      loop, [found] { *found = measure_turn_ns(); },
      [this, alive = alive_, found, cpu = std::move(cpu)] {
        if (!*alive) return;
        if (!*found) return log_warn("load", "no speed: {}", found->error().text());
        speed_ = speed_of(**found);
        if (auto kept = state_.replace(kFile, to_text({*speed_, cpu}), 0644); !kept)
          log_warn("load", "the speed is not kept: {}", kept.error().text());
      });
}

}  // namespace om::migrator
