// SPDX-License-Identifier: Apache-2.0
//
// What home asks of a running body now and then: how it does, and bytes of its memory.
#include <signal.h>
#include <time.h>

#include <cstddef>
#include <vector>

#include "common/proc/status.h"
#include "guest/keeper.h"

namespace om::guest {
namespace {

constexpr uint32_t kSpareThreads = 8;

int64_t now_ns(clockid_t clock) {
  timespec ts{};
  ::clock_gettime(clock, &ts);
  return ts.tv_sec * int64_t{1000000000} + ts.tv_nsec;
}

uint64_t cpu_ns(pid_t pid) {
  clockid_t clock;
  return pid > 0 && ::clock_getcpuclockid(pid, &clock) == 0 ? static_cast<uint64_t>(now_ns(clock))
                                                            : 0;
}

}  // namespace

Pulse Keeper::ping(int64_t home_mono, int64_t home_real) {
  const int64_t mono = now_ns(CLOCK_MONOTONIC), real = now_ns(CLOCK_REALTIME);
  if (is_running() && is_time(home_mono) && is_time(home_real)) {
    clocks_.sample(home_mono, home_real, mono, real);
    write_clock();
  }
  for (uint32_t slot : link_.broken_channels()) {
    if (auto t = thread(slot)) body_.signal_thread(t->body_tid, SIGURG);
  }
  Pulse pulse;
  pulse.cpu_ns = cpu_ns(body_.pid());
  if (auto status = proc::read_status(body_.pid())) {
    pulse.rss_bytes = status->vm_rss_bytes;
    pulse.threads = status->threads;
    // Its gate makes no more: the filter is what a guest cannot get around, and that does not count them.
    if (status->threads > bounds_.slots + kSpareThreads)
      body_.end("it made more threads than it may have");
  }
  pulse.body_mono_ns = clocks_.body_mono(mono);
  return pulse;
}

Verdict<std::vector<std::byte>> Keeper::peek(uint64_t address, size_t bytes) const {
  if (!is_running() || !body_.running()) return refuse(ReasonCode::kInternal, "the body has ended");
  std::vector<std::byte> memory(bytes);
  memory.resize(body_.memory().read_some(address, memory));
  return memory;
}

}  // namespace om::guest
