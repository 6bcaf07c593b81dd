// SPDX-License-Identifier: Apache-2.0
#include "guest/thread_numbers.h"

#include "common/proc/process.h"
#include "common/proc/status.h"

namespace om::guest {
namespace {

using Clock = std::chrono::steady_clock;

// Threads that are known are looked at again only so often: a body can name numbers that nobody has.
constexpr auto kLookAgain = std::chrono::seconds(1);

}  // namespace

// Reads the numbers of threads that are not known yet, or of all of them.
void ThreadNumbers::look(pid_t pid, bool again) {
  const auto tids = proc::list_tasks(pid);
  if (!tids) return;
  std::map<pid_t, pid_t> inner;
  for (pid_t tid : *tids) {
    const auto known = inner_.find(tid);
    if (known != inner_.end() && !again) {
      inner.insert(*known);
    } else if (const auto status = proc::read_status(tid); status && !status->ns_pids.empty()) {
      inner[tid] = status->ns_pids.back();
    }
  }
  inner_ = std::move(inner);
  outer_.clear();
  for (const auto& [outer, own] : inner_) outer_[own] = outer;
}

pid_t ThreadNumbers::outer(pid_t pid, pid_t tid) {
  if (tid <= 0) return 0;
  if (!apart_) return tid;
  auto found = outer_.find(tid);
  if (found != outer_.end()) return found->second;
  look(pid, false);
  found = outer_.find(tid);
  if (found == outer_.end() && Clock::now() - looked_ > kLookAgain) {
    looked_ = Clock::now();
    look(pid, true);
    found = outer_.find(tid);
  }
  return found == outer_.end() ? 0 : found->second;
}

}  // namespace om::guest
