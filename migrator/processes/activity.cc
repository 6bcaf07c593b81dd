// SPDX-License-Identifier: Apache-2.0
#include "migrator/processes/activity.h"

#include <algorithm>
#include <utility>

namespace om::migrator {
namespace {

constexpr uint64_t kAnchorMs = 100;  // CPU time that a rate is counted over, if it comes within
constexpr Milliseconds kAnchorFor{5000};
constexpr double kNewest = 0.5;       // weight of the newest reading of running threads
constexpr Milliseconds kSpread{100};  // between readings of those that are idle
constexpr int kSpreadOver = 10;

double seconds(uint64_t ms) { return static_cast<double>(ms) / 1000; }

uint64_t grown(uint64_t before, uint64_t now) { return now > before ? now - before : 0; }

}  // namespace

bool Activities::is_active(const Entry& entry, MonotonicTime now) {
  return now - entry.last_used < kActiveFor;
}

void Activities::set_members(MonotonicTime now, const std::vector<ProcessId>& members) {
  std::map<ProcessId, Entry> before = std::exchange(entries_, {});
  for (const ProcessId& id : members) {
    if (auto known = before.extract(id)) {
      known.mapped().away = false;
      entries_.insert(std::move(known));
      continue;
    }
    Entry& entry = entries_[id];
    entry.due = now;
    entry.closely_due = now;
    entry.last_used = now;
  }
}

std::vector<Activities::Due> Activities::due(MonotonicTime now) {
  std::vector<Due> found;
  for (auto& [id, entry] : entries_) {
    if (entry.away || now < entry.due) continue;
    const bool active = is_active(entry, now);
    const bool closely = active && now >= entry.closely_due;
    if (closely) entry.closely_due = now + kCloselyEvery;
    found.push_back({id, closely});
    // Not all that became idle together are read together.
    const Milliseconds sooner = kSpread * (id.pid % kSpreadOver);
    entry.due = now + (active ? kActiveEvery : kIdleEvery - sooner);
  }
  return found;
}

std::vector<pid_t> Activities::active(MonotonicTime now) const {
  std::vector<pid_t> found;
  for (const auto& [id, entry] : entries_) {
    if (!entry.away && is_active(entry, now)) found.push_back(id.pid);
  }
  return found;
}

void Activities::measure(Entry& entry, MonotonicTime time, uint64_t counted_ms, double running) {
  Activity& activity = entry.activity.has_value() ? *entry.activity : entry.activity.emplace();
  const double elapsed = std::chrono::duration<double>(time - entry.read).count();
  if (entry.counted_ms && elapsed > 0) {
    activity.cpu = seconds(grown(*entry.counted_ms, counted_ms)) / elapsed;
    running = kNewest * running + (1 - kNewest) * activity.running;
    if (counted_ms > *entry.counted_ms) entry.last_used = time;
  }
  activity.running = std::max(running, activity.cpu.value_or(0));
  activity.cpu_ms = entry.home_ms + entry.away_ms + entry.body_ms;
  entry.read = time;
  entry.counted_ms = counted_ms;
}

bool Activities::long_enough(const Anchor& anchor, MonotonicTime now, uint64_t cpu_ms) {
  const uint64_t used = grown(anchor.cpu_ms, cpu_ms);
  return used >= kAnchorMs || (used > 0 && now - anchor.time >= kAnchorFor);
}

void Activities::take(MonotonicTime now, const Usage& usage) {
  const auto found = entries_.find(usage.id);
  if (found == entries_.end()) return;
  Entry& entry = found->second;
  if (std::exchange(entry.counts_body, false)) {
    entry.away_ms += std::exchange(entry.body_ms, 0);
    entry.counted_ms.reset();
    entry.anchor.reset();
  }
  entry.home_ms = usage.cpu_ms;
  // The threads of one that has several are only known when it is looked at closely.
  const bool unknown = usage.threads > 1 && !usage.switches && entry.activity;
  measure(entry, now, usage.cpu_ms, unknown ? entry.activity->running : usage.running);
  entry.activity->rss_bytes = usage.rss_bytes;
  // One that starts to work is not looked at five seconds later only.
  if (is_active(entry, now)) entry.due = std::min(entry.due, now + kActiveEvery);
  if (!usage.switches) return;
  const Anchor next{now, usage.cpu_ms, usage.system_ms, usage.faults, *usage.switches};
  if (!entry.anchor) entry.anchor = next;
  const Anchor& anchor = *entry.anchor;
  if (!long_enough(anchor, now, usage.cpu_ms)) return;
  const double system = seconds(grown(anchor.system_ms, usage.system_ms)) -
                        static_cast<double>(grown(anchor.faults, usage.faults)) * kFaultSeconds;
  // A call that waits counts in both; so the greater one, and not the sum.
  const double calls = std::max(std::max(system, 0.0) * kCallsPerSystemSecond,
                                static_cast<double>(grown(anchor.events, *usage.switches)));
  entry.activity->calls_per_cpu_s = calls / seconds(grown(anchor.cpu_ms, usage.cpu_ms));
  entry.anchor = next;
}

void Activities::take_away(MonotonicTime now, const ProcessId& process, const AwayUsage& usage) {
  const auto found = entries_.find(process);
  if (found == entries_.end()) return;
  Entry& entry = found->second;
  entry.away = true;
  if (!std::exchange(entry.counts_body, true) || usage.cpu_ms < entry.body_ms) {
    entry.away_ms += std::exchange(entry.body_ms, 0);
    entry.counted_ms.reset();
    entry.anchor.reset();
  }
  entry.due = now;  // when it comes home
  if (entry.counted_ms && usage.received <= entry.read) return;
  entry.body_ms = usage.cpu_ms;
  measure(entry, usage.received, usage.cpu_ms, 0);
  Activity& activity = *entry.activity;
  activity.running = activity.cpu.value_or(activity.running);
  activity.rss_bytes = usage.rss_bytes;
  const Anchor next{usage.received, usage.cpu_ms, 0, 0, usage.calls};
  if (!entry.anchor || usage.calls < entry.anchor->events) entry.anchor = next;
  const Anchor& anchor = *entry.anchor;
  if (!long_enough(anchor, usage.received, usage.cpu_ms)) return;
  activity.calls_per_cpu_s = static_cast<double>(usage.calls - anchor.events) /
                             seconds(grown(anchor.cpu_ms, usage.cpu_ms));
  entry.anchor = next;
}

const Activity* Activities::find(const ProcessId& process) const {
  const auto found = entries_.find(process);
  return found == entries_.end() || !found->second.activity ? nullptr : &*found->second.activity;
}

}  // namespace om::migrator
