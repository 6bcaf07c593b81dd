// SPDX-License-Identifier: Apache-2.0
#include "migrator/moves/move_record.h"

#include <nlohmann/json.hpp>

namespace om::migrator {
namespace {

constexpr uint64_t kMaxCount = uint64_t{1} << 53;  // exact in every JSON reader

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

Json checked_record(const Move& move, const MoveReport& report) {
  Json record = blank_record(move);
  auto time = [](double ms) { return ms >= 0 && ms <= 1e15 ? ms : 0; };  // 0 for NaN
  auto count = [](uint64_t number) { return number <= kMaxCount ? number : 0; };
  record["freeze_ms"] = time(report.freeze_ms);
  if (time(report.total_ms) != 0) record["total_ms"] = time(report.total_ms);
  record["bytes_raw"] = count(report.bytes_raw);
  record["bytes_wire"] = count(report.bytes_wire);
  record["pages"] = count(report.pages);
  record["threads"] = count(report.threads);
  record["mode"] = report.mode;
  record["moved"] = !report.reason;
  if (!report.reason) {
    record["result"] = "moved";
    return record;
  }
  record["result"] = report.failed ? "failed" : "refused";
  record["code"] = report.reason->name();
  record["message"] = report.reason->message();
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
