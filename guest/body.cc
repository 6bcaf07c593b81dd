// SPDX-License-Identifier: Apache-2.0
#include "guest/body.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

#include <utility>

#include "common/base/log.h"
#include "common/proc/status.h"

namespace om::guest {
namespace {

constexpr auto kHomeComes = 2 * kj::SECONDS;
constexpr uint32_t kSpareThreads = 8;

uint64_t cpu_ns(pid_t pid) {
  clockid_t clock;
  return pid > 0 && ::clock_getcpuclockid(pid, &clock) == 0 ? static_cast<uint64_t>(now_ns(clock))
                                                            : 0;
}

}  // namespace

Body::Body(kj::AsyncIoContext& io, std::function<void(uint32_t)> on_need_channel)
    : io_(io), process_(io, std::move(on_need_channel)), tasks_(errors_) {}

void Body::Errors::taskFailed(kj::Exception&& exception) {
  log_warn("body", "{}", exception.getDescription().cStr());
}

Result<BodyThread> Body::thread(uint32_t slot) const {
  if (!process_.has_memory()) return Error{ESRCH, "the body has ended"};
  return memory().get<BodyThread>(thread_address(slot));
}

void Body::write_clock() {
  if (!process_.has_memory()) return;
  ClockPage page = clocks_.page(now_ns(CLOCK_MONOTONIC));
  const uint64_t at = bounds().body_state + offsetof(BodyState, clock);
  auto sequence = memory().get<uint32_t>(at);
  if (!sequence) return;
  // Odd while the values change, as a reader expects of a sequence lock.
  const uint32_t odd = *sequence | 1, even = odd + 1;
  page.sequence = odd;
  const auto ours = std::as_bytes(std::span(&page, 1)).first(offsetof(ClockPage, mono_floor_ns));
  if (!memory().put(at, odd) || !memory().write(at, ours) || !memory().put(at, even))
    log_warn("clock", "the body's clock page cannot be written, ignoring");
}

void Body::pause(bool on) {
  if (!is_running() || !process_.running() || on == paused_) return;
  paused_ = on;
  process_.signal_leader(on ? SIGSTOP : SIGCONT);
}

void Body::hold() {
  if (held_ || paused_) return;
  held_ = true;
  process_.signal_leader(SIGSTOP);
  tasks_.add(io_.provider->getTimer().afterDelay(kHomeComes).then([this] { let_go(); }));
}

void Body::let_go() {
  if (!held_) return;
  held_ = false;
  if (!paused_) process_.signal_leader(SIGCONT);
}

Pulse Body::ping(int64_t home_mono, int64_t home_real) {
  const int64_t mono = now_ns(CLOCK_MONOTONIC), real = now_ns(CLOCK_REALTIME);
  if (is_running() && is_time(home_mono) && is_time(home_real)) {
    clocks_.sample(home_mono, home_real, mono, real);
    write_clock();
  }
  Pulse pulse;
  pulse.cpu_ns = cpu_ns(process_.pid());
  if (auto status = proc::read_status(process_.pid())) {
    pulse.rss_bytes = status->vm_rss_bytes;
    pulse.threads = status->threads;
    // Its gate makes no more. A guest can get around the gate, but not the filter, which does not count threads.
    if (status->threads > bounds().slots + kSpareThreads)
      process_.end("it made more threads than it may have");
  }
  pulse.body_mono_ns = clocks_.body_mono(mono);
  return pulse;
}

void Body::wake_threads(const std::vector<uint32_t>& slots) {
  for (uint32_t slot : slots) {
    if (auto t = thread(slot)) process_.signal_thread(t->body_tid, SIGURG);
  }
}

Verdict<std::vector<std::byte>> Body::peek(uint64_t address, size_t bytes) const {
  if (!is_running() || !process_.running())
    return refuse(ReasonCode::kInternal, "the body has ended");
  std::vector<std::byte> found(bytes);
  found.resize(memory().read_some(address, found));
  return found;
}

// Home repeats itself: a thread that has these CPUs already is left alone, even if they were changed here since.
void Body::pin(uint32_t change, capnp::List<schema::ThreadCpus>::Reader threads) {
  if ((!is_running() && phase_ != Phase::kFilled) || !process_.running()) return;
  if (threads.size() > bounds().slots) return;
  for (auto t : threads) {
    if (t.getSlot() >= bounds().slots) continue;
    const auto tid =
        memory().get<int32_t>(thread_address(t.getSlot()) + offsetof(BodyThread, body_tid));
    if (!tid || *tid <= 0) continue;  // being made: home will repeat it
    std::vector<uint64_t> mask;
    for (uint64_t word : t.getMask()) {
      if (mask.size() < CPU_SETSIZE / 64) mask.push_back(word);
    }
    Pinned& pinned = pinned_[t.getSlot()];
    if (pinned.tid == *tid && pinned.mask == mask) continue;
    pinned = {*tid, std::move(mask)};
    process_.pin_thread(pinned.tid, pinned.mask);
  }
  if (auto r = put_state(offsetof(BodyState, cpu_changes), change); !r)
    log_warn("body", "{}", r.error().text());
}

}  // namespace om::guest
