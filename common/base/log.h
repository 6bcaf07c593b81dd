// SPDX-License-Identifier: Apache-2.0
//
// The daemons' log lines, on stderr. One failure is one line: what was being done, for whom, errno; a failure that has
// no effect ends in "ignoring". Only main and the owners of a session or a connection log above debug; everything else
// returns an Error. Text from a guest, a peer or a program goes through escaped().
//
// OM_LOG selects what is written: a list of area:level, or a bare level for all areas, as in "info,control:debug".
// Levels: error, warn, info (default), debug. An area is the name passed in the call. Call log_init() while there is
// one thread; the rest is for any thread.
#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/result.h"

namespace om {

enum class LogLevel { kError, kWarn, kInfo, kDebug };

// A parsed OM_LOG. Separate from the global one for the tests.
class LogFilter {
 public:
  // An unknown level or an empty area is an Error that names it.
  static Result<LogFilter> parse(std::string_view text);
  bool enabled(std::string_view area, LogLevel level) const;

 private:
  LogLevel default_ = LogLevel::kInfo;
  std::vector<std::pair<std::string, LogLevel>> areas_;
};

// `program` goes in front of every line ("om-migrator[n1]"). Reads OM_LOG; reports and ignores a bad value.
void log_init(std::string_view program);

bool log_enabled(std::string_view area, LogLevel level);
void log_write(std::string_view area, LogLevel level, std::string_view text);

template <class... Args>
void log(std::string_view area, LogLevel level, fmt::format_string<Args...> format,
         Args&&... args) {
  if (log_enabled(area, level))
    log_write(area, level, fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
void log_error(std::string_view area, fmt::format_string<Args...> format, Args&&... args) {
  log(area, LogLevel::kError, format, std::forward<Args>(args)...);
}
template <class... Args>
void log_warn(std::string_view area, fmt::format_string<Args...> format, Args&&... args) {
  log(area, LogLevel::kWarn, format, std::forward<Args>(args)...);
}
template <class... Args>
void log_info(std::string_view area, fmt::format_string<Args...> format, Args&&... args) {
  log(area, LogLevel::kInfo, format, std::forward<Args>(args)...);
}
template <class... Args>
void log_debug(std::string_view area, fmt::format_string<Args...> format, Args&&... args) {
  log(area, LogLevel::kDebug, format, std::forward<Args>(args)...);
}

// Foreign text made safe for one line of a log or a terminal: in double quotes, control characters and
// bytes above 0x7e escaped, cut at max_bytes.
std::string escaped(std::string_view text, size_t max_bytes = 200);

}  // namespace om
