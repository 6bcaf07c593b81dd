// SPDX-License-Identifier: Apache-2.0
//
// The record of one migration, as `om migrate --json` prints it: pid, from, to, mode, freeze_ms, total_ms, bytes_raw,
// bytes_wire, pages, threads, result, code, message, moved. Always complete, no matter where the move was refused.
// `from` and `to` are node names, even if the user said "home".
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include <optional>
#include <string>

#include "common/movable/reasons.h"
#include "common/net/control.h"

namespace om::migrator {

struct Move {
  pid_t pid = 0;
  std::string from;
  std::string to;
  uint64_t total_ms = 0;  // since work on the request began
};

// result "refused" or "failed", all figures 0.
Json unmoved_record(const Move& move, const char* result, ReasonCode code,
                    const std::string& message);
// A deputy's report of a move. Its figures are unchecked.
struct MoveReport {
  std::string mode;
  double freeze_ms = 0, total_ms = 0;
  uint64_t bytes_raw = 0, bytes_wire = 0, pages = 0, threads = 0;
  std::optional<Reason> reason;  // why the process was not moved; none: it was moved
  bool failed = false;           // something broke; false: the process cannot move

  static MoveReport failure(Reason reason) { return {.reason = std::move(reason), .failed = true}; }
};

// With the reason's sentence and detail.
Json unmoved_record(const Move& move, const char* result, const Reason& reason);

// Nothing to do: result "moved", moved false, code ALREADY_THERE.
Json already_there_record(const Move& move);

// From the deputy's report. Invalid figures become 0; a total_ms of 0 is replaced by ours.
Json checked_record(const Move& move, const MoveReport& report);

// The answer for the client: ok or a failure, with the record as data.
Json answer_of(const Json& record);

}  // namespace om::migrator
