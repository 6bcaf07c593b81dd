// SPDX-License-Identifier: Apache-2.0
#include "deputy/session/cpus.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <map>
#include <utility>

#include "common/proc/process.h"
#include "common/proc/status.h"

namespace om::deputy {
namespace {

constexpr size_t kMaxCpuWords = 128;  // Linux has at most 8192 CPUs

// Empty if the thread has ended.
std::vector<uint64_t> cpus_of(pid_t tid) {
  std::vector<uint64_t> mask(kMaxCpuWords);
  const long bytes =
      ::syscall(SYS_sched_getaffinity, tid, mask.size() * sizeof mask[0], mask.data());
  mask.resize(bytes > 0 ? static_cast<size_t>(bytes) / sizeof mask[0] : 0);
  while (!mask.empty() && mask.back() == 0) mask.pop_back();
  return mask;
}

long count(const std::vector<uint64_t>& mask) {
  long n = 0;
  for (uint64_t word : mask) n += std::popcount(word);
  return n;
}

// Threads by the numbers that the program sees, where it has a PID namespace of its own.
std::map<pid_t, pid_t> outer_tids(pid_t pid) {
  std::map<pid_t, pid_t> outer;
  const auto tids = proc::list_tasks(pid);
  if (!tids) return outer;
  for (pid_t tid : *tids) {
    if (auto status = proc::read_status(tid); status && !status->ns_pids.empty())
      outer[status->ns_pids.back()] = tid;
  }
  return outer;
}

}  // namespace

std::vector<Cpus::ThreadCpus> Cpus::threads(uint32_t slots) const {
  struct Head {  // of HomeThread
    uint32_t state, slot;
    int32_t tid;
  };
  static_assert(offsetof(HomeThread, tid) == offsetof(Head, tid));
  const bool inside = home_.inner_pid != 0 && home_.inner_pid != home_.pid;
  const auto outer = inside ? outer_tids(home_.pid) : std::map<pid_t, pid_t>();
  std::vector<ThreadCpus> threads;
  for (uint32_t slot = 0; slot < slots; slot++) {
    const auto head =
        home_.target->memory.get<Head>(home_.target->thread_address(home_.arena, slot));
    if (!head || head->state != kSlotUsed || head->tid <= 0) continue;
    const auto at = outer.find(head->tid);
    if (inside && at == outer.end()) continue;
    auto mask = cpus_of(inside ? at->second : head->tid);
    if (!mask.empty()) threads.push_back({slot, std::move(mask)});
  }
  return threads;
}

// Sends nothing as long as there is nothing to say: all may run everywhere, and could when the keeper last heard.
kj::Promise<void> Cpus::send(schema::Body::Client& body, bool always) {
  if (!home_.target) return kj::READY_NOW;
  const auto home = home_.target->home();  // read before the masks: they have at least its changes
  if (!home) return kj::READY_NOW;
  const auto threads = this->threads(std::min(home->slots_ready, home_.state.nslots));
  const long all = ::sysconf(_SC_NPROCESSORS_ONLN);
  const bool restricted = std::any_of(threads.begin(), threads.end(),
                                      [&](const ThreadCpus& t) { return count(t.mask) < all; });
  if (!always && !restricted && !restricted_) return kj::READY_NOW;
  restricted_ = restricted;
  auto request = body.pinRequest();
  request.setChange(home->cpu_changes);
  auto list = request.initThreads(static_cast<unsigned>(threads.size()));
  for (unsigned i = 0; i < list.size(); i++) {
    list[i].setSlot(threads[i].slot);
    // Nothing is said of those that may run everywhere: the node may have more CPUs.
    if (count(threads[i].mask) >= all) continue;
    auto mask = list[i].initMask(static_cast<unsigned>(threads[i].mask.size()));
    for (unsigned w = 0; w < mask.size(); w++) mask.set(w, threads[i].mask[w]);
  }
  return request.send().ignoreResult();
}

// One at a time. A keeper that cannot do it, because it is older or out of reach, hears no more until the next session.
void Cpus::follow(bool always) {
  if (under_way_) {
    again_ = again_ || always;
    return;
  }
  KJ_IF_MAYBE (body, session_.body()) {
    under_way_ = true;
    const uint32_t session = session_.count();
    tasks_.add(send(*body, always)
                   .then(
                       [this, session] {
                         if (session != session_.count()) return;
                         under_way_ = false;
                         if (std::exchange(again_, false)) follow(true);
                       },
                       [](kj::Exception&&) {}));
  }
}

}  // namespace om::deputy
