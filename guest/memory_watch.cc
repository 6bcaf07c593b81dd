// SPDX-License-Identifier: Apache-2.0
#include "guest/memory_watch.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <fmt/format.h>
#include <kj/debug.h>

#include <algorithm>

#include "common/base/text.h"
#include "common/proc/stat.h"

namespace om::guest {
namespace {

// Any task stalled for 0.1 s out of 2 s: the shortest window that needs no privileges.
constexpr char kTrigger[] = "some 100000 2000000";

UniqueFd open_pressure() {
  UniqueFd fd(::open("/proc/pressure/memory", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (fd.valid() && ::write(fd.get(), kTrigger, sizeof kTrigger) < 0) fd.reset();
  return fd;
}

// What this process has in memory, with pages of files. 0 if it has ended.
uint64_t resident_bytes(pid_t pid) {
  const auto stat = proc::read_stat(pid);
  if (!stat || stat->rss <= 0) return 0;
  return static_cast<uint64_t>(stat->rss) * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

MemoryWatch::MemoryWatch(kj::AsyncIoContext& io, uint64_t headroom, uint64_t most)
    : io_(io),
      headroom_(headroom),
      most_(most),
      room_(proc::cgroup_mounts(read_text("/proc/self/mountinfo").value_or(""), "memory")),
      pressure_(open_pressure()) {
  if (!pressure_.valid()) return;
  observer_ = kj::heap<kj::UnixEventPort::FdObserver>(
      io.unixEventPort, pressure_.get(), kj::UnixEventPort::FdObserver::OBSERVE_URGENT);
}

kj::Promise<std::string> MemoryWatch::shortage(pid_t body) { return look(body, ++questions_); }

kj::Promise<std::string> MemoryWatch::look(pid_t body, uint64_t question) {
  if (question != questions_) return KJ_EXCEPTION(FAILED, "asked again meanwhile");
  const auto room = room_.read(body, std::chrono::steady_clock::now());
  if (room && is_short(*room, headroom_)) {
    return fmt::format("{} MiB are left of {} MiB that {} has", room->left >> 20, room->limit >> 20,
                       room->of);
  }
  auto next = look_again(room ? *room : MemoryRoom{}, headroom_);
  if (most_ != 0) {
    const uint64_t used = resident_bytes(body);
    if (used >= most_) {
      return fmt::format("it uses {} MiB, guest_memory_mib is {}", used >> 20, most_ >> 20);
    }
    next = std::min(next, look_again({most_ - used, most_, ""}, 0));
  }
  return pause(next.count() * kj::MILLISECONDS).then([this, body, question] {
    return look(body, question);
  });
}

kj::Promise<void> MemoryWatch::pause(kj::Duration most) {
  auto over = io_.provider->getTimer().afterDelay(most);
  if (observer_.get() == nullptr) return over;
  return over.exclusiveJoin(observer_->whenUrgentDataAvailable());
}

}  // namespace om::guest
