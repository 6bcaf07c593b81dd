// SPDX-License-Identifier: Apache-2.0
#include "migrator/moves/move_record.h"

#include <nlohmann/json.hpp>

namespace om::migrator {
namespace {

constexpr int64_t kMaxCount = int64_t{1} << 53;  // exact in every JSON reader

Json blank_record(const Move& move) {
  return Json{{"pid", move.pid}, {"from", move.from}, {"to", move.to},
              {"mode", ""},      {"freeze_ms", 0},    {"total_ms", move.total_ms},
              {"bytes_raw", 0},  {"bytes_wire", 0},   {"pages", 0},
              {"threads", 0},    {"result", ""},      {"code", ""},
              {"message", ""},   {"moved", false}};
}

}  // namespace

Json unmoved_record(const Move& move, const char* result, const std::string& code,
                    const std::string& message) {
  Json record = blank_record(move);
  record["result"] = result;
  record["code"] = code;
  record["message"] = message;
  return record;
}

Json already_there_record(const Move& move) {
  Json record = blank_record(move);
  record["result"] = "moved";
  record["code"] = "ALREADY_THERE";
  record["message"] = "process " + std::to_string(move.pid) + " is at " + move.to + " already";
  return record;
}

Json checked_record(const Move& move, const Json& from_deputy) {
  Json record = blank_record(move);
  for (const char* time : {"freeze_ms", "total_ms"}) {
    if (json_number(from_deputy, time, 0, 1e15)) record[time] = from_deputy[time];
  }
  for (const char* count : {"bytes_raw", "bytes_wire", "pages", "threads"}) {
    if (json_int(from_deputy, count, 0, kMaxCount)) record[count] = from_deputy[count];
  }
  for (const char* text : {"mode", "code", "message"}) {
    record[text] = json_string(from_deputy, text, 4096).value_or("");
  }
  // It goes into the log and to terminals as it is.
  if (std::string code = record["code"]; !code.empty() && !is_code(code))
    record["code"] = "INTERNAL";
  std::string result = json_string(from_deputy, "result", 16).value_or("");
  record["result"] = result;
  record["moved"] = result == "moved";
  if (result == "moved" && record["code"] == "ALREADY_THERE") record["moved"] = false;
  if (result != "moved" && result != "refused" && result != "failed") {
    record["result"] = "failed";
    record["code"] = "INTERNAL";
    record["message"] = "the deputy gave no result";
  } else if (result != "moved" && record["code"] == "") {
    record["code"] = "INTERNAL";
  }
  return record;
}

Json answer_of(const Json& record) {
  if (record["result"] == "moved") return ok_answer(record);
  Failure failure;
  failure.exit = record["result"] == "refused" ? ExitCode::kRefused : ExitCode::kFailure;
  failure.code = record["code"];
  failure.message = record["message"];
  if (failure.code == "TIMEOUT") failure.exit = ExitCode::kTimeout;
  if (failure.code == "NO_SUCH_PROCESS") failure.exit = ExitCode::kNotFound;
  if (failure.code == "PERMISSION") failure.exit = ExitCode::kPermission;
  return failure_answer(failure, record);
}

}  // namespace om::migrator
