// SPDX-License-Identifier: Apache-2.0
#include "migrator/processes/census.h"

#include <algorithm>
#include <utility>

#include "common/base/text.h"
#include "common/proc/process.h"
#include "common/proc/stat.h"

namespace om::migrator {
namespace {

constexpr Milliseconds kFirstAgain{500};
constexpr Milliseconds kLastAgain{30000};
constexpr Milliseconds kFirstPause{500};
constexpr Milliseconds kLastPause{10000};
constexpr Milliseconds kSurveyHolds{5000};

// The number that the last started process or thread has got, at the end of /proc/loadavg; empty if it is not there.
std::string newest_process() {
  const auto text = read_text("/proc/loadavg");
  if (!text) return "";
  const std::string_view line = trim(std::string_view(*text).substr(0, text->find('\n')));
  return std::string(line.substr(line.rfind(' ') + 1));
}

}  // namespace

Census::Census(Loop& loop, const Clock& clock, Look look, Others others)
    : loop_(loop),
      clock_(clock),
      tools_{std::make_shared<Memory>(), std::move(look), clock},
      others_(std::move(others)),
      pause_(loop) {}

Census::~Census() {
  *alive_ = false;
  Memory& memory = *tools_.memory;
  memory.stop = true;
  std::unique_lock<std::mutex> lock(memory.mutex);
  memory.ended.wait(lock, [&memory] { return memory.jobs == 0; });
}

void Census::run(std::function<void()> work, std::function<void()> done) {
  {
    std::lock_guard<std::mutex> lock(tools_.memory->mutex);
    ++tools_.memory->jobs;
  }
  run_in_pool(
      loop_,
      [work = std::move(work), memory = tools_.memory] {
        if (!memory->stop) work();
        std::lock_guard<std::mutex> lock(memory->mutex);
        --memory->jobs;
        memory->ended.notify_all();
      },
      std::move(done));
}

// On a thread of the pool.
Census::Membership Census::membership(const Tools& tools, pid_t pid, bool settled) {
  Memory& memory = *tools.memory;
  auto stat = proc::read_stat(pid);
  if (!stat) return Membership::kGone;
  const Image image{
      {pid, stat->starttime}, stat->startcode, stat->startstack, stat->arg_start, stat->env_end};
  const MonotonicTime now = tools.clock.now();
  Milliseconds before{0};
  {
    std::lock_guard<std::mutex> lock(memory.mutex);
    auto it = memory.known.find(pid);
    if (it != memory.known.end() && it->second.image == image) {
      Known& known = it->second;
      known.seen = memory.passes;
      known.pause = std::min(known.pause * 2, kLastPause);
      known.unchanged_until = now + known.pause;
      if (known.again.count() == 0) return known.membership;
      if (!settled && now - known.looked < known.again) return known.membership;
      before = known.again;
    }
  }
  const Membership found = tools.look(pid);
  Known known{image, found, Milliseconds(0), now, 0, now + kFirstPause, kFirstPause};
  // A loaded program stays what it is. If its addresses cannot be read, an exec would not show.
  const bool stays = found == Membership::kMember || found == Membership::kOtherNode;
  if (!stays || image.stack == 0) known.again = std::clamp(before * 2, kFirstAgain, kLastAgain);
  std::lock_guard<std::mutex> lock(memory.mutex);
  known.seen = memory.passes;
  memory.known[pid] = known;
  return found;
}

uint64_t Census::begin_pass(Memory& memory) {
  std::lock_guard<std::mutex> lock(memory.mutex);
  return ++memory.passes;
}

void Census::end_pass(Memory& memory, uint64_t pass) {
  std::lock_guard<std::mutex> lock(memory.mutex);
  std::erase_if(memory.known, [pass](auto& item) { return item.second.seen < pass; });
}

// On a thread of the pool. Most of the time nothing is started on a machine, and reading all of /proc costs more than
// what is to be found out.
std::vector<ProcessId> Census::survey_all(const Tools& tools) {
  Memory& memory = *tools.memory;
  const std::string newest = newest_process();
  const MonotonicTime now = tools.clock.now();
  {
    std::lock_guard<std::mutex> lock(memory.mutex);
    if (!newest.empty() && newest == memory.survey_newest && now < memory.survey_holds_until)
      return memory.surveyed;
  }
  std::vector<ProcessId> members = survey_anew(tools);
  std::lock_guard<std::mutex> lock(memory.mutex);
  memory.surveyed = members;
  memory.survey_newest = newest;
  memory.survey_holds_until = now + kSurveyHolds;
  // What was started lately may be about to become another program.
  for (const auto& [pid, known] : memory.known) {
    if (known.pause < kSurveyHolds)
      memory.survey_holds_until = std::min(memory.survey_holds_until, known.unchanged_until);
  }
  return members;
}

// On a thread of the pool.
std::vector<ProcessId> Census::survey_anew(const Tools& tools) {
  Memory& memory = *tools.memory;
  std::vector<ProcessId> members;
  const auto pids = proc::list_processes();
  if (!pids) return members;
  const uint64_t pass = begin_pass(memory);
  const MonotonicTime now = tools.clock.now();
  const auto note = [&memory, &members](pid_t pid, auto&& trusted) {
    std::lock_guard<std::mutex> lock(memory.mutex);
    const auto found = memory.known.find(pid);
    if (found == memory.known.end() || !trusted(found->second)) return false;
    found->second.seen = memory.passes;
    if (found->second.membership == Membership::kMember)
      members.push_back(found->second.image.process);
    return true;
  };
  for (const pid_t pid : *pids) {
    if (memory.stop) break;
    if (note(pid, [now](const Known& known) { return now < known.unchanged_until; })) continue;
    if (membership(tools, pid, false) == Membership::kGone) continue;
    note(pid, [](const Known&) { return true; });
  }
  end_pass(memory, pass);
  return members;
}

// On a thread of the pool.
std::vector<ProcessInfo> Census::scan_all(const Tools& tools,
                                          const std::vector<ProcessId>& others) {
  Memory& memory = *tools.memory;
  std::vector<ProcessInfo> found;
  auto pids = proc::list_processes();
  if (!pids) return found;
  const uint64_t pass = begin_pass(memory);
  for (pid_t pid : *pids) {
    if (memory.stop) break;
    const auto other = std::find_if(others.begin(), others.end(),
                                    [pid](const ProcessId& id) { return id.pid == pid; });
    const bool listed = other != others.end();
    if (!listed && membership(tools, pid, false) != Membership::kMember) continue;
    auto info = read_process(pid);
    if (info && (!listed || info->id == *other)) found.push_back(std::move(*info));
  }
  end_pass(memory, pass);
  std::sort(found.begin(), found.end(),
            [](const ProcessInfo& a, const ProcessInfo& b) { return a.id < b.id; });
  return found;
}

void Census::scan(OnScan done) {
  waiting_.push_back(std::move(done));
  if (!scanning_) plan_scan();
}

void Census::plan_scan() {
  scanning_ = true;
  const auto since = std::chrono::duration_cast<Milliseconds>(clock_.now() - started_);
  if (scans_ == 0 || since >= kPeriod) return start_scan();
  pause_.start(kPeriod - since, [this] { start_scan(); });
}

void Census::start_scan() {
  ++scans_;
  started_ = clock_.now();
  // Later requests may be about a process that this scan has already passed.
  auto asked = std::make_shared<std::vector<OnScan>>(std::exchange(waiting_, {}));
  auto found = std::make_shared<std::vector<ProcessInfo>>();
  run([tools = tools_, others = others_(), found] { *found = scan_all(tools, others); },
      [this, alive = alive_, asked, found] {
        if (!*alive) return;
        scanning_ = false;
        if (!waiting_.empty()) plan_scan();
        for (const OnScan& done : *asked) done(*found);
      });
}

void Census::survey(OnSurvey done) {
  auto found = std::make_shared<std::vector<ProcessId>>();
  run([tools = tools_, found] { *found = survey_all(tools); },
      [alive = alive_, found, done = std::move(done)] {
        if (*alive) done(std::move(*found));
      });
}

void Census::look(uid_t asker, pid_t pid, OnLook done) {
  questions_[asker].push_back({pid, std::move(done)});
  if (!looking_) next_look();
}

// The next user's turn.
void Census::next_look() {
  if (questions_.empty()) return;
  auto turn = questions_.upper_bound(last_asker_);
  if (turn == questions_.end()) turn = questions_.begin();
  last_asker_ = turn->first;
  Question question = std::move(turn->second.front());
  turn->second.pop_front();
  if (turn->second.empty()) questions_.erase(turn);
  looking_ = true;
  auto found = std::make_shared<Membership>(Membership::kGone);
  const pid_t pid = question.pid;
  run([tools = tools_, found, pid] { *found = membership(tools, pid, true); },
      [this, alive = alive_, found, done = std::move(question.done)] {
        if (!*alive) return;
        looking_ = false;
        next_look();
        done(*found);
      });
}

}  // namespace om::migrator
