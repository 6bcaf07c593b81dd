// SPDX-License-Identifier: Apache-2.0
#include "migrator/processes/sampler.h"

#include <algorithm>
#include <utility>

namespace om::migrator {

Sampler::Sampler(Loop& loop, ProcessTable& processes,
                 std::function<std::vector<ProcessId>()> others)
    : loop_(loop), processes_(processes), others_(std::move(others)) {}

Sampler::~Sampler() { *alive_ = false; }

void Sampler::sample() {
  if (std::exchange(sampling_, true)) return;
  std::vector<ProcessId> ids = processes_.noted();
  for (const ProcessId& process : others_()) ids.push_back(process);
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  auto found = std::make_shared<std::vector<ProcessInfo>>();
  run_in_pool(
      loop_,
      [ids = std::move(ids), found] {
        for (const ProcessId& id : ids) {
          auto info = read_process(id.pid);
          if (info && info->id == id) found->push_back(std::move(*info));
        }
      },
      [this, alive = alive_, found] {
        if (!*alive) return;
        sampling_ = false;
        processes_.sample(*found);
      });
}

}  // namespace om::migrator
