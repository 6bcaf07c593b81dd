// SPDX-License-Identifier: Apache-2.0
//
// The record of one migration, as `om migrate --json` prints it: pid, from, to, mode, freeze_ms, total_ms,
// bytes_raw, bytes_wire, pages, threads, result, code, message, moved. Always complete, whoever was the one
// to say no. `from` and `to` are node names, also when the user said "home".
#pragma once

#include <sys/types.h>

#include <string>

#include "common/net/control.h"

namespace om::migrator {

struct Move {
  pid_t pid = 0;
  std::string from;
  std::string to;
  uint64_t total_ms = 0;  // since the request was taken up
};

// result "refused" or "failed", all figures 0.
Json unmoved_record(const Move& move, const char* result, ReasonCode code,
                    const std::string& message);
// With the sentence and the detail of the reason.
Json unmoved_record(const Move& move, const char* result, const Reason& reason);

// Nothing to do: result "moved", moved false, code ALREADY_THERE.
Json already_there_record(const Move& move);

// From what the deputy says. Its figures are kept if they are sound, else 0; a result that is none of the
// three words is "failed" with the code INTERNAL.
Json checked_record(const Move& move, const Json& from_deputy);

// The answer for the client: ok with the record as data, or a failure with the record as data.
Json answer_of(const Json& record);

}  // namespace om::migrator
