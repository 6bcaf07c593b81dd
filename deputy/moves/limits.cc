// SPDX-License-Identifier: Apache-2.0
#include "deputy/moves/limits.h"

#include <algorithm>

#include "common/proc/process.h"
#include "libom/abi/layout.h"

namespace om::deputy {

Result<InheritedLimits> InheritedLimits::read(pid_t pid) {
  InheritedLimits limits;
  for (size_t i = 0; i < std::size(kResources); i++)
    limits.limits_[i] = OM_TRY(proc::read_limit(pid, kResources[i]));
  return limits;
}

bool InheritedLimits::operator==(const InheritedLimits& other) const {
  return std::equal(std::begin(limits_), std::end(limits_), std::begin(other.limits_),
                    [](const rlimit& a, const rlimit& b) {
                      return a.rlim_cur == b.rlim_cur && a.rlim_max == b.rlim_max;
                    });
}

void InheritedLimits::write(wire::BodySpec::Builder spec) const {
  auto limits = spec.initLimits(std::size(kResources));
  for (unsigned i = 0; i < std::size(kResources); i++) {
    rlimit limit = limits_[i];
    // A process that comes near them comes home, where there is then room for executors and nothing else of libom's.
    const bool shared = kResources[i] == RLIMIT_AS || kResources[i] == RLIMIT_DATA;
    if (shared && limit.rlim_cur != RLIM_INFINITY)
      limit.rlim_cur -= std::min<rlim_t>(limit.rlim_cur, kExecutorRoom);
    limits[i].setResource(static_cast<uint32_t>(kResources[i]));
    limits[i].setSoft(limit.rlim_cur);
    limits[i].setHard(limit.rlim_max);
  }
}

}  // namespace om::deputy
