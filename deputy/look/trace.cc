// SPDX-License-Identifier: Apache-2.0
#include "deputy/look/trace.h"

#include <string.h>

#include <algorithm>
#include <memory>

#include "common/base/log.h"
#include "deputy/base/text.h"
#include "gen/syscalls_desc.h"
#include "gen/syscalls_names.h"
#include "libom/abi/home.h"
#include "libom/abi/trace.h"

namespace om::deputy {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kTracePatience = std::chrono::seconds(2);
constexpr size_t kMaxRecords = 1000;  // in one answer; the daemon takes a report of 1 MiB
constexpr int64_t kAtFdCwd = -100;

std::string quoted(const TraceRecord& r) {
  const bool cut = r.text_bytes > kTraceText;
  std::string text(r.text, std::min<size_t>(r.text_bytes, kTraceText));
  return escaped(text, kTraceText) + (cut ? "..." : "");
}

std::string argument_text(const TraceRecord& r, const SyscallDesc& row, uint32_t i) {
  const uint64_t value = r.args[i];
  const auto narrow = static_cast<int32_t>(value);
  if (r.text_arg == i + 1) return quoted(r);
  if (row.args[i].kind != ArgKind::kVal) return value == 0 ? "NULL" : fmt::format("{:#x}", value);
  switch (row.args[i].type) {
    case ArgType::kAtFd:
      return narrow == kAtFdCwd ? "AT_FDCWD" : std::to_string(narrow);
    case ArgType::kI32:
    case ArgType::kFd:
    case ArgType::kPid:
    case ArgType::kTid:
    case ArgType::kSig:
    case ArgType::kClock:
      return std::to_string(narrow);
    case ArgType::kU32:
    case ArgType::kUid:
    case ArgType::kGid:
      return std::to_string(static_cast<uint32_t>(value));
    case ArgType::kI64:
    case ArgType::kOff:
      return std::to_string(static_cast<int64_t>(value));
    case ArgType::kSize:
      return std::to_string(value);
    case ArgType::kMode:
      return fmt::format("{:#o}", static_cast<uint32_t>(value));
    case ArgType::kNone:
    case ArgType::kU64:
    case ArgType::kFlags:
    case ArgType::kPtr:
    case ArgType::kCmd:
    case ArgType::kDev:
    case ArgType::kBytes:
    case ArgType::kPath:
    case ArgType::kStruct:
      break;
  }
  return value == 0 ? "0" : fmt::format("{:#x}", value);
}

nlohmann::json to_json(const TraceRecord& r) {
  const SyscallDesc& row = syscall_desc(r.nr);
  std::string arguments;
  for (uint32_t i = 0; i < std::min<uint32_t>(row.nargs, 6); i++) {
    if (i != 0) arguments += ", ";
    arguments += argument_text(r, row, i);
  }
  nlohmann::json out{{"tid", r.tid},       {"call", name_of_call(r.nr)}, {"arguments", arguments},
                     {"result", r.result}, {"started_ns", r.started_ns}, {"took_ns", r.took_ns}};
  if (r.result < 0 && r.result >= -4095) {
    const char* name = ::strerrorname_np(static_cast<int>(-r.result));
    out["error"] = name != nullptr ? name : std::to_string(-r.result);
  }
  return out;
}

}  // namespace

nlohmann::json Tracing::read(uint64_t cursor, const std::string& at_node, bool away) {
  nlohmann::json records = nlohmann::json::array(), counts = nlohmann::json::array();
  nlohmann::json answer{{"result", "looked"}, {"pid", home_.pid}, {"at", at_node},
                        {"session", 0},       {"next", 0},        {"lost", 0}};
  auto area = std::make_unique<TraceArea>();
  const uint32_t on = 1;
  const auto bytes = std::as_writable_bytes(std::span(area.get(), 1));
  if (away && home_.target && home_.target->put_home_field(offsetof(HomeState, trace), on) &&
      home_.target->memory.read(home_.arena + kControlTrace, bytes)) {
    asked_ = Clock::now();
    uint64_t lost = 0, at = cursor;
    if (at > area->head) at = 0;  // of an earlier session
    if (area->head - at > kTraceRecords) {
      lost = area->head - kTraceRecords - at;
      at = area->head - kTraceRecords;
    }
    for (; at < area->head && records.size() < kMaxRecords; at++) {
      const TraceRecord& r = area->ring[at % kTraceRecords];
      if (r.ready > at + 1) {
        lost++;
        continue;
      }
      if (r.ready < at + 1) break;  // being written: next time
      records.push_back(to_json(r));
    }
    for (uint32_t nr = 0; nr < kTraceCalls; nr++) {
      const TraceCount& c = area->counts[nr];
      if (c.calls == 0) continue;
      counts.push_back(
          {{"call", name_of_call(nr)}, {"calls", c.calls}, {"errors", c.errors}, {"ns", c.ns}});
    }
    answer["session"] = home_.state.epoch;
    answer["next"] = at;
    answer["lost"] = lost;
  }
  answer["records"] = std::move(records);
  answer["counts"] = std::move(counts);
  return answer;
}

void Tracing::stop_if_unread() {
  if (asked_ == Clock::time_point{} || Clock::now() - asked_ < kTracePatience) return;
  asked_ = {};
  const uint32_t off = 0;
  (void)home_.target->put_home_field(offsetof(HomeState, trace), off);
}

}  // namespace om::deputy
