// SPDX-License-Identifier: Apache-2.0
#include "migrator/processes/events.h"

#include <time.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "common/base/log.h"
#include "common/net/control.h"

namespace om::migrator {
namespace {

// Whether the event explains why a process no longer exists.
bool is_loss(const Event& event) {
  return event.kind == "lost" || (event.kind == "note" && event.code == ReasonCode::kNodeLost);
}

// Whether its pid is that of another node's process.
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

// For a process that has ended: the runner at the time of its last event.
pid_t Events::runner_of(const Event& event) const {
  if (event.pid == 0 || about_guest(event)) return 0;
  const pid_t now = runner_of_(event.pid);
  if (now != 0) return now;
  const auto known = about(event.pid);
  const auto last = std::find_if(known.rbegin(), known.rend(), [&](const Entry* entry) {
    return entry->event.pid == event.pid && !about_guest(entry->event);
  });
  return last == known.rend() || (*last)->event.kind == "ended" ? 0 : (*last)->runner;
}

std::string user_owner(uid_t uid) { return fmt::format("user {}", uid); }

std::string guest_owner(const std::string& home, uid_t uid) {
  return fmt::format("user {} of {}", uid, home);
}

void Events::Rings::drop_oldest(std::map<std::string, std::deque<Entry>>::iterator ring) {
  ring->second.pop_front();
  --total;
  if (ring->second.empty()) of.erase(ring);
}

void Events::Rings::add(const std::string& owner, Entry entry) {
  of[owner].push_back(std::move(entry));
  ++total;
  const auto own = of.find(owner);
  if (own->second.size() > kCapacity) return drop_oldest(own);
  if (total <= kTotalCapacity) return;
  drop_oldest(std::max_element(of.begin(), of.end(),
                               [](auto& a, auto& b) { return a.second.size() < b.second.size(); }));
}

void Events::write_log(const Event& event, bool loss) {
  uint64_t missing = 0;
  // A flood of one kind must not hide the other.
  if (!budget_.take(loss ? event.owner + ", losses" : event.owner, missing)) return;
  const std::string whose = event.owner.empty() ? "the node" : event.owner;
  if (missing != 0) log_warn("event", "{} lines about {} were left out", missing, whose);
  bool bad = event.kind == "failed" || event.kind == "lost";
  log("event", bad ? LogLevel::kWarn : LogLevel::kInfo, "{} pid={} node={} code={} {}", event.kind,
      event.pid, event.node, code_name(event.code), escaped(event.message, 1000));
}

void Events::add(Event event) {
  // Text from a deputy, a guest or another node was checked where it was read. This is the last check before the log
  // and the terminals.
  if (!is_plain_word(event.kind)) event.kind = "note";
  if (!event.node.empty() && !is_plain_word(event.node)) event.node = "?";
  const bool loss = is_loss(event);
  write_log(event, loss);
  const std::string owner = event.owner;
  const pid_t runner = runner_of(event);
  (loss ? losses_ : ordinary_)
      .add(owner, Entry{++last_number_, clock_.wall(), std::move(event), runner});
}

std::vector<const Events::Entry*> Events::about(pid_t pid) const {
  std::vector<const Entry*> found;
  for (const Rings* rings : {&ordinary_, &losses_}) {
    for (auto& [owner, ring] : rings->of) {
      for (const Entry& entry : ring) {
        if (pid == 0 || entry.event.pid == pid || entry.runner == pid) found.push_back(&entry);
      }
    }
  }
  std::sort(found.begin(), found.end(),
            [](const Entry* a, const Entry* b) { return a->number < b->number; });
  return found;
}

Json Events::list(pid_t pid) const {
  Json list = Json::array();
  for (const Entry* entry : about(pid)) {
    list.push_back({{"number", entry->number},
                    {"time", rfc3339(entry->time)},
                    {"kind", entry->event.kind},
                    {"pid", entry->event.pid},
                    {"node", entry->event.node},
                    {"code", code_name(entry->event.code)},
                    {"message", entry->event.message}});
  }
  return list;
}

}  // namespace om::migrator
