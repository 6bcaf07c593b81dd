// SPDX-License-Identifier: Apache-2.0
//
// The control socket's answers and om's exit codes, shared by both ends. A request is one JSON line with "verb"; its
// answer is one line: {"ok":true,"data":...} or {"ok":false,"exit":6,"code":"...","message":"...","data":...}.
// docs/ARCHITECTURE.md describes the verbs.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "common/base/result.h"
#include "common/movable/reasons.h"
#include "common/net/json_line.h"

namespace om {

// Exit status of `om`.
enum class ExitCode : int {
  kOk = 0,
  kFailure = 1,
  kUsage = 2,
  kUnreachable = 3,  // no daemon
  kNotFound = 4,     // no such process or node
  kPermission = 5,
  kRefused = 6,  // with a code of docs/REASONS.md
  kTimeout = 7,
  kSomeLeft = 8,  // not all have gone that were to go
};

// Why a request failed. The answer's `data` may still hold what is known (the record of a migration).
struct Failure {
  ExitCode exit = ExitCode::kFailure;
  std::string
      code;  // of docs/REASONS.md; a daemon of another release may have one that is not in ours
  std::string message;  // one sentence

  Failure() = default;
  // An error of the caller or of this machine that needs no code.
  Failure(ExitCode status, std::string text) : exit(status), message(std::move(text)) {}
  Failure(ExitCode status, ReasonCode reason, std::string text)
      : exit(status), code(code_name(reason)), message(std::move(text)) {}
  // With the reason's sentence and detail.
  Failure(ExitCode status, const Reason& reason) : Failure(status, reason.code, reason.message()) {}

  bool is(ReasonCode reason) const { return code == reason_info(reason).name; }
};

Json ok_answer(Json data);
Json failure_answer(const Failure& failure);
Json failure_answer(const Failure& failure, Json data);

// Whether the member "code" of an answer, an event or a record is `code`.
bool has_code(const Json& object, ReasonCode code);

// Whether it looks like a code: upper case, digits and '_', at most 64 bytes. Anything else is never passed on.
bool is_code(std::string_view text);
// The same for lower case letters, digits, '-' and '_': node names and kinds of events.
bool is_plain_word(std::string_view text);

// An answer as om reads it. Error if the daemon sent something else.
struct Answer {
  bool ok = false;
  Failure failure;  // if not ok
  Json data;        // null if there is none
};
Result<Answer> parse_answer(const Json& line);

}  // namespace om
