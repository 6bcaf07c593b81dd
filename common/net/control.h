// SPDX-License-Identifier: Apache-2.0
//
// The control socket's answers and om's exit codes, as both ends see them. A request is one JSON line with
// "verb"; its answer one line: {"ok":true,"data":...} or
// {"ok":false,"exit":6,"code":"CPU_FEATURE","message":"...","data":...}.
// docs/ARCHITECTURE.md describes the verbs.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/net/json_line.h"

namespace om {

// What `om` ends with.
enum class ExitCode : int {
  kOk = 0,
  kFailure = 1,
  kUsage = 2,
  kUnreachable = 3,  // no daemon
  kNotFound = 4,     // no such process or node
  kPermission = 5,
  kRefused = 6,  // with a code of docs/REASONS.md
  kTimeout = 7,
};

// Why a request was not done. `data` may hold what is known nevertheless (the record of a migration).
struct Failure {
  ExitCode exit = ExitCode::kFailure;
  std::string code;     // upper case word, stable
  std::string message;  // one sentence, no final dot
};

Json ok_answer(Json data);
Json failure_answer(const Failure& failure);
Json failure_answer(const Failure& failure, Json data);

// "CPU_FEATURE": upper case, digits and '_', at most 64 bytes. What comes as a code and is none is not passed on.
bool is_code(std::string_view text);
// The same of lower case letters, digits, '-' and '_': names of nodes and kinds of events.
bool is_plain_word(std::string_view text);

// An answer as om reads it. Error if the daemon sent something else.
struct Answer {
  bool ok = false;
  Failure failure;  // if not ok
  Json data;        // null if there is none
};
Result<Answer> parse_answer(const Json& line);

}  // namespace om
