// SPDX-License-Identifier: Apache-2.0
#include "migrator/moves/child_list.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/base/log.h"
#include "common/base/names.h"
#include "common/base/text.h"
#include "common/net/json_line.h"

namespace om::migrator {
namespace {

constexpr const char* kFileName = "children";

Result<std::pair<ProcessId, ChildList::Entry>> parse_entry(std::string_view line) {
  Json value = OM_TRY(parse_json_line(line));
  ProcessId process;
  process.pid = static_cast<pid_t>(OM_TRY(json_int(value, "pid", 1, INT32_MAX)));
  process.start_ticks = static_cast<uint64_t>(OM_TRY(json_int(value, "start", 0, INT64_MAX)));
  ChildList::Entry entry;
  entry.role = OM_TRY(json_string(value, "role", 16));
  entry.about = static_cast<pid_t>(OM_TRY(json_int(value, "about", 0, INT32_MAX)));
  entry.at = OM_TRY(json_string_or(value, "at", kMaxNodeName, ""));
  entry.about_start =
      static_cast<uint64_t>(OM_TRY(json_int_or(value, "about_start", 0, INT64_MAX, 0)));
  entry.moving = OM_TRY(json_bool_or(value, "moving", false));
  entry.uid = static_cast<uid_t>(OM_TRY(json_int_or(value, "uid", 0, UINT32_MAX, 0)));
  if (value.contains("session")) entry.session = OM_TRY(session_from_json(value["session"]));
  return std::pair{process, entry};
}

// Whether a later daemon needs the entry: the child is alive, or it is the dead deputy of a process that is away.
bool matters(const ProcessId& process, const ChildList::Entry& entry) {
  return process.alive() || (entry.session && ProcessId{entry.about, entry.about_start}.alive());
}

}  // namespace

ChildList::ChildList(Loop& loop, const OwnDirectory& state) : state_(state), later_(loop) {
  auto text = state_.read(kFileName);
  if (!text && text.error().err == ENOENT) return;  // first start here
  if (!text) {
    log_warn("state", "{}, ignoring", text.error().text());
    return;
  }
  std::string_view rest = *text;
  while (!rest.empty()) {
    auto entry = parse_entry(take_line(rest));
    if (!entry) {
      log_warn("state", "{}/{}: {}, ignoring", state_.path(), kFileName, entry.error().text());
    } else if (matters(entry->first, entry->second)) {
      entries_.insert(*entry);
    }
  }
  save();
}

void ChildList::add(const ProcessId& process, Entry entry) {
  entries_[process] = std::move(entry);
  save();
}

void ChildList::remove(const ProcessId& process) {
  if (entries_.erase(process) != 0) save();
}

void ChildList::prune() {
  const size_t ended =
      std::erase_if(entries_, [](auto& item) { return !matters(item.first, item.second); });
  if (ended != 0 || !problem_.empty()) save();
}

void ChildList::set_session(const ProcessId& process, const std::optional<DeputySession>& session,
                            bool moving) {
  auto it = entries_.find(process);
  if (it == entries_.end() || (it->second.session == session && it->second.moving == moving))
    return;
  it->second.session = session;
  it->second.moving = moving;
  save();
}

void ChildList::set_place(const ProcessId& process, const std::string& at,
                          const std::optional<DeputySession>& session) {
  auto it = entries_.find(process);
  if (it == entries_.end()) return;
  Entry& entry = it->second;
  if (entry.at == at && entry.session == session && !entry.moving) return;
  entry.at = at;
  entry.session = session;
  entry.moving = false;
  save();
}

const std::pair<const ProcessId, ChildList::Entry>* ChildList::deputy_of(pid_t about) const {
  for (auto& item : entries_) {
    if (item.second.role == "deputy" && item.second.about == about && item.first.alive())
      return &item;
  }
  return nullptr;
}

bool ChildList::is_deputy(pid_t pid) const {
  const auto it = entries_.lower_bound(ProcessId{pid, 0});
  return it != entries_.end() && it->first.pid == pid && it->second.role == "deputy" &&
         it->first.alive();
}

ChildList::~ChildList() {
  if (changed_) write_file();
}

void ChildList::when_written(std::function<void()> run) {
  if (!changed_) return run();
  for_written_.push_back(std::move(run));
  const MonotonicTime now = std::chrono::steady_clock::now();
  write_at(next(now), now);
}

MonotonicTime ChildList::next(MonotonicTime now) {
  constexpr Milliseconds kSecond{1000};
  while (!writes_.empty() && now - writes_.front() >= kSecond) writes_.pop_front();
  return writes_.size() < kWritesPerSecond ? now : writes_.front() + kSecond;
}

// Writes all changes made until then together, so no user's changes delay those of others.
void ChildList::write_at(MonotonicTime time, MonotonicTime now) {
  if (time <= now) return write();
  later_.start(std::chrono::ceil<Milliseconds>(time - now), [this] { write(); });
}

void ChildList::save() {
  if (changed_) return;
  changed_ = true;
  const MonotonicTime now = std::chrono::steady_clock::now();
  write_at(std::max<MonotonicTime>(now + kLater, next(now)), now);
}

void ChildList::write() {
  later_.stop();
  changed_ = false;
  writes_.push_back(std::chrono::steady_clock::now());
  write_file();
  for (auto& run : std::exchange(for_written_, {})) run();
}

void ChildList::write_file() {
  ++written_;
  std::string text;
  for (auto& [process, entry] : entries_) {
    Json line = {{"role", entry.role},
                 {"pid", process.pid},
                 {"start", process.start_ticks},
                 {"about", entry.about},
                 {"at", entry.at}};
    if (entry.role == "keeper") line["uid"] = entry.uid;
    if (entry.session) {
      line["about_start"] = entry.about_start;
      line["moving"] = entry.moving;
      line["session"] = session_to_json(*entry.session);
    }
    text += to_json_line(line);
  }
  const Result<void> saved = state_.replace(kFileName, text, 0600);
  // Log each cause once, although writing is retried again and again.
  const std::string problem = saved ? "" : saved.error().text();
  if (problem != problem_) {
    if (saved) {
      log_info("state", "{}/{} is written again", state_.path(), kFileName);
    } else {
      log_error("state",
                "{}; a daemon that is started now would not know all of this one's children",
                problem);
    }
    problem_ = problem;
  }
}

}  // namespace om::migrator
