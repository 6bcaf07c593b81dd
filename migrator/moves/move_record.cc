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

Json unmoved_record(const Move& move, const char* result, ReasonCode code,
                    const std::string& message) {
  Json record = blank_record(move);
  record["result"] = result;
  record["code"] = code_name(code);
  record["message"] = message;
  return record;
}

Json unmoved_record(const Move& move, const char* result, const Reason& reason) {
  return unmoved_record(move, result, reason.code, reason.message());
}

Json already_there_record(const Move& move) {
  Json record = blank_record(move);
  record["result"] = "moved";
  record["code"] = code_name(ReasonCode::kAlreadyThere);
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
  const std::string code = record["code"];
  if (!code.empty()) record["code"] = Reason::from_peer(code, {}).name();
  std::string result = json_string(from_deputy, "result", 16).value_or("");
  record["result"] = result;
  record["moved"] = result == "moved";
  if (result == "moved" && code == reason_info(ReasonCode::kAlreadyThere).name)
    record["moved"] = false;
  if (result != "moved" && result != "refused" && result != "failed") {
    record["result"] = "failed";
    record["code"] = code_name(ReasonCode::kInternal);
    record["message"] = "the deputy gave no result";
  } else if (result != "moved" && record["code"] == "") {
    record["code"] = code_name(ReasonCode::kInternal);
  }
  return record;
}

Json answer_of(const Json& record) {
  if (record["result"] == "moved") return ok_answer(record);
  Failure failure;
  failure.exit = record["result"] == "refused" ? ExitCode::kRefused : ExitCode::kFailure;
  failure.code = record["code"];
  failure.message = record["message"];
  if (failure.is(ReasonCode::kTimeout)) failure.exit = ExitCode::kTimeout;
  if (failure.is(ReasonCode::kNoSuchProcess)) failure.exit = ExitCode::kNotFound;
  if (failure.is(ReasonCode::kPermission)) failure.exit = ExitCode::kPermission;
  return failure_answer(failure, record);
}

}  // namespace om::migrator
