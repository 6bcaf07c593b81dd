// SPDX-License-Identifier: Apache-2.0
#include "migrator/events.h"

#include <time.h>

#include <nlohmann/json.hpp>

#include "common/log.h"

namespace om::migrator {

namespace {

// Its pid is that of another node's process.
bool about_guest(const Event& event) {
  return event.kind == "admitted" || event.kind == "rejected" || event.kind == "guest_end";
}

}  // namespace

std::string rfc3339(WallTime time) {
  auto ms = std::chrono::duration_cast<Milliseconds>(time.time_since_epoch()).count();
  time_t seconds = ms / 1000;
  tm parts{};
  ::gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                     ms % 1000);
}

// Of a process that has ended, what it was when something happened to it last.
pid_t Events::runner_of(const Event& event) const {
  if (event.pid == 0 || about_guest(event)) return 0;
  const pid_t now = runner_of_(event.pid);
  if (now != 0) return now;
  for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry) {
    if (entry->event.pid == event.pid && !about_guest(entry->event))
      return entry->event.kind == "ended" ? 0 : entry->runner;
  }
  return 0;
}

void Events::add(Event event) {
  bool bad = event.kind == "failed" || event.kind == "lost";
  log("event", bad ? LogLevel::kWarn : LogLevel::kInfo, "{} pid={} node={} code={} {}", event.kind,
      event.pid, event.node, event.code, escaped(event.message, 1000));
  if (entries_.size() == kCapacity) entries_.pop_front();
  const pid_t runner = runner_of(event);
  entries_.push_back(Entry{++last_number_, clock_.wall(), std::move(event), runner});
}

Json Events::list(pid_t pid) const {
  Json list = Json::array();
  for (const Entry& entry : entries_) {
    if (pid != 0 && entry.event.pid != pid && entry.runner != pid) continue;
    list.push_back({{"number", entry.number},
                    {"time", rfc3339(entry.time)},
                    {"kind", entry.event.kind},
                    {"pid", entry.event.pid},
                    {"node", entry.event.node},
                    {"code", entry.event.code},
                    {"message", entry.event.message}});
  }
  return list;
}

}  // namespace om::migrator
