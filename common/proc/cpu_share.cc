// SPDX-License-Identifier: Apache-2.0
#include "common/proc/cpu_share.h"

#include <errno.h>
#include <sched.h>
#include <sys/resource.h>

#include <iterator>

namespace om::proc {
namespace {

constexpr int kLowNice = 10;  // weight 110 instead of 1024

}  // namespace

std::optional<CpuShare> read_cpu_share(std::string_view word) {
  for (size_t i = 0; i < std::size(kCpuShareNames); i++) {
    if (word == kCpuShareNames[i]) return static_cast<CpuShare>(i);
  }
  return std::nullopt;
}

const char* cpu_share_name(CpuShare share) {
  return kCpuShareNames[static_cast<size_t>(share)].data();
}

int take_cpu_share(CpuShare share) {
  if (share == CpuShare::kNormal) return 0;
  if (share == CpuShare::kLow) {
    errno = 0;
    const int now = ::getpriority(PRIO_PROCESS, 0);
    if (errno == 0 && now >= kLowNice) return 0;
    return ::setpriority(PRIO_PROCESS, 0, kLowNice) == 0 ? 0 : errno;
  }
  const sched_param none{};
  return ::sched_setscheduler(0, SCHED_IDLE, &none) == 0 ? 0 : errno;
}

}  // namespace om::proc
