// SPDX-License-Identifier: Apache-2.0
#include "migrator/load/load_sampler.h"

#include <utility>

#include "common/base/log.h"
#include "common/base/text.h"

namespace om::migrator {

LoadSampler::LoadSampler(Loop& loop, const Clock& clock, Count count)
    : clock_(clock), count_(std::move(count)), timer_(loop) {
  read_memory();
  timer_.start_repeating(kRunningPeriod, [this] { sample(); });
}

LoadSampler::~LoadSampler() { *alive_ = false; }

void LoadSampler::sample() {
  read_running();
  if (++turns_ % kMemoryEvery == 0) read_memory();
}

void LoadSampler::complain(const Error& error, bool& complained) {
  if (!std::exchange(complained, true)) log_warn("load", "{}", error.text());
}

void LoadSampler::read_running() {
  if (count_) {
    if (std::exchange(counting_, true)) return;
    count_([this, alive = alive_](double threads) {
      if (!*alive) return;
      counting_ = false;
      load_.add_running(clock_.now(), threads);
    });
    return;
  }
  const auto text = read_text("/proc/loadavg");
  const auto running = text ? parse_running(*text) : Result<uint32_t>(text.error());
  if (!running) return complain(running.error(), no_running_);
  // This thread is running, too.
  load_.add_running(clock_.now(), static_cast<double>(*running) - 1);
}

void LoadSampler::read_memory() {
  const auto text = read_text("/proc/meminfo");
  const auto memory = text ? parse_meminfo(*text) : Result<Memory>(text.error());
  if (!memory) return complain(memory.error(), no_memory_);
  std::optional<double> pressure;
  if (has_pressure_) {
    const auto pressures = read_text("/proc/pressure/memory");
    // A kernel may have the file and yet refuse to read it, if it was started so.
    has_pressure_ = pressures.ok();
    const auto some = pressures ? parse_pressure(*pressures) : Result<double>(pressures.error());
    if (some) pressure = *some;
  }
  load_.set_memory(*memory, pressure);
}

}  // namespace om::migrator
