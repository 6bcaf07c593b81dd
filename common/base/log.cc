// SPDX-License-Identifier: Apache-2.0
#include "common/base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <mutex>

#include "common/base/log_repeats.h"

namespace om {
namespace {

constexpr std::array<std::pair<std::string_view, LogLevel>, 4> kLevels{{
    {"error", LogLevel::kError},
    {"warn", LogLevel::kWarn},
    {"info", LogLevel::kInfo},
    {"debug", LogLevel::kDebug},
}};

struct LogState {
  std::string program = "om";
  LogFilter filter;
  uint64_t lost = 0;  // lines lost since the last one written
  int lost_errno = 0;
  bool cut = false;  // the first lost line was written in part
  std::mutex lock;   // guards all members
  LogRepeats repeats;
};

LogState& log_state() {
  static LogState state;
  return state;
}

std::string_view level_name(LogLevel level) {
  for (auto& [name, value] : kLevels) {
    if (value == level) return name;
  }
  return "?";
}

// Writes one line and never fails: if the disk is full the line is lost, and the next one says so.
void write_line(LogState& state, std::string_view what, std::string_view text) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  tm parts{};
  ::gmtime_r(&now.tv_sec, &parts);
  std::array<char, 32> stamp{};
  ::strftime(stamp.data(), stamp.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  const std::string head =
      fmt::format("{}.{:03}Z {}", stamp.data(), now.tv_nsec / 1000000, state.program);
  std::string line = fmt::format("{} {}: {}\n", head, what, text);
  if (state.lost != 0) {
    line = fmt::format("{}{} warn log: {} line{} could not be written: {}\n{}",
                       state.cut ? "\n" : "", head, state.lost, state.lost == 1 ? "" : "s",
                       ::strerror(state.lost_errno), line);
  }
  // A single write, so that lines of several processes in one file do not mix.
  const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
  if (written == static_cast<ssize_t>(line.size())) {
    state.lost = 0;
    state.cut = false;
    return;
  }
  state.lost_errno = written < 0 ? errno : ENOSPC;
  state.lost++;
  if (written > 0) state.cut = true;
}

}  // namespace

Result<LogFilter> LogFilter::parse(std::string_view text) {
  LogFilter filter;
  while (!text.empty()) {
    std::string_view item = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), item.size() + 1));
    if (item.empty()) continue;
    size_t colon = item.find(':');
    std::string_view area = colon == item.npos ? std::string_view() : item.substr(0, colon);
    std::string_view name = colon == item.npos ? item : item.substr(colon + 1);
    if (colon == 0) return plain_error(fmt::format("OM_LOG: no area before {}", escaped(item)));
    const LogLevel* level = nullptr;
    for (auto& entry : kLevels) {
      if (entry.first == name) level = &entry.second;
    }
    if (level == nullptr) {
      return plain_error(
          fmt::format("OM_LOG: unknown level {} (error, warn, info, debug)", escaped(name)));
    }
    if (area.empty()) {
      filter.default_ = *level;
    } else {
      filter.areas_.emplace_back(std::string(area), *level);
    }
  }
  return filter;
}

bool LogFilter::enabled(std::string_view area, LogLevel level) const {
  // The last entry for an area wins, as in any list of options.
  for (auto it = areas_.rbegin(); it != areas_.rend(); ++it) {
    if (it->first == area) return level <= it->second;
  }
  return level <= default_;
}

void log_init(std::string_view program) {
  LogState& state = log_state();
  state.program = program;
  const char* text = ::getenv("OM_LOG");
  if (text == nullptr) return;
  auto filter = LogFilter::parse(text);
  if (filter) {
    state.filter = std::move(*filter);
  } else {
    log_warn("log", "{}, ignoring", filter.error().text());
  }
}

bool log_enabled(std::string_view area, LogLevel level) {
  return log_state().filter.enabled(area, level);
}

// A warning or error repeated within some seconds is counted, not written.
void log_write(std::string_view area, LogLevel level, std::string_view text) {
  LogState& state = log_state();
  const std::string what = fmt::format("{} {}", level_name(level), area);
  const auto now = std::chrono::steady_clock::now();
  const std::lock_guard<std::mutex> lock(state.lock);
  for (const auto& line : state.repeats.over(now)) write_line(state, line.head, line.summary());
  if (level <= LogLevel::kWarn && state.repeats.counts(what, text, now)) return;
  write_line(state, what, text);
}

std::string escaped(std::string_view text, size_t max_bytes) {
  std::string out = "\"";
  for (char c : text.substr(0, max_bytes)) {
    auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte > 0x7e) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  out += text.size() > max_bytes ? "\"..." : "\"";
  return out;
}

}  // namespace om
