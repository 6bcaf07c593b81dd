// SPDX-License-Identifier: Apache-2.0
#include "migrator/processes/newcomers.h"

#include <algorithm>

#include "common/elf/elf_file.h"
#include "common/movable/preload.h"
#include "common/proc/proc_file.h"
#include "common/proc/process.h"
#include "common/proc/stat.h"
#include "migrator/processes/process_table.h"

namespace om::migrator {
namespace {

constexpr Milliseconds kExecLimit{5000}, kConstructorLimit{1000}, kFirstPause{10}, kLongPause{250};
constexpr size_t kMaxWaiting = 64;
constexpr uint32_t kPfForkNoExec = 0x40;

// Whether ld.so is going to load libom.so into it. No program has begun, so the environment is still the kernel's copy;
// if it is anything else, a request waits in vain, or does not wait.
bool loads_preload(pid_t pid) {
  auto program = read_elf_file(proc::proc_path(pid, "exe"), ElfSearch::kDynamicOnly);
  if (!program || !program->is_64bit || program->is_static) return false;
  const auto environment = proc::read_environ(pid);
  if (!environment) return false;
  // During an execve there is none yet.
  if (environment->empty()) return true;
  return std::any_of(environment->begin(), environment->end(), [](const std::string& entry) {
    return entry.starts_with("LD_PRELOAD=") && entry.find("libom.so") != entry.npos;
  });
}

}  // namespace

Beginning beginning_of(pid_t pid) {
  // An `om run` that has no child yet, or whose child is still a copy of it.
  if (is_front_end(pid)) {
    const auto children = proc::list_children(pid);
    return children && children->empty() ? Beginning::kExec : Beginning::kOver;
  }
  const auto process = read_process(pid);
  if (!process || Milliseconds(process->age_ms) > kExecLimit) return Beginning::kOver;
  const ProgramStart start = read_start(pid);
  if (start.phase == ProgramStart::Phase::kReady) return Beginning::kOver;
  if (start.phase != ProgramStart::Phase::kNotLoaded) return Beginning::kConstructor;
  const auto stat = proc::read_stat(pid);
  if (!stat) return Beginning::kOver;
  const bool copy = (stat->flags & kPfForkNoExec) != 0;
  return copy || loads_preload(pid) ? Beginning::kExec : Beginning::kOver;
}

bool Newcomers::go_on_waiting(const std::function<pid_t()>& find, bool whole,
                              MonotonicTime since) const {
  const auto waited = clock_.now() - since;
  if (waited > kExecLimit) return false;
  switch (beginning_of(find())) {
    case Beginning::kOver:
      return false;
    case Beginning::kExec:
      return true;
    case Beginning::kConstructor:
      return whole && waited <= kConstructorLimit;
  }
  return false;
}

void Newcomers::wait(std::function<pid_t()> find, bool whole, std::function<void()> then) {
  const MonotonicTime now = clock_.now();
  if (waiting_.size() >= kMaxWaiting || !go_on_waiting(find, whole, now)) return then();
  waiting_.push_back(Waiting{std::move(find), whole, std::move(then), now, kFirstPause,
                             std::make_unique<Timer>(loop_)});
  auto one = std::prev(waiting_.end());
  one->timer->start(one->pause, [this, one] { look_again(one); });
}

void Newcomers::look_again(std::list<Waiting>::iterator one) {
  if (go_on_waiting(one->find, one->whole, one->since)) {
    one->pause = std::min(one->pause * 2, kLongPause);
    return one->timer->start(one->pause, [this, one] { look_again(one); });
  }
  const auto then = std::move(one->then);
  waiting_.erase(one);
  then();
}

}  // namespace om::migrator
