// SPDX-License-Identifier: Apache-2.0
#include "common/net/control.h"

#include <nlohmann/json.hpp>

namespace om {

Json ok_answer(Json data) { return Json{{"ok", true}, {"data", std::move(data)}}; }

Json failure_answer(const Failure& failure) {
  return Json{{"ok", false},
              {"exit", static_cast<int>(failure.exit)},
              {"code", failure.code},
              {"message", failure.message}};
}

Json failure_answer(const Failure& failure, Json data) {
  Json answer = failure_answer(failure);
  answer["data"] = std::move(data);
  return answer;
}

bool has_code(const Json& object, ReasonCode code) {
  return json_string_or(object, "code", 64, "").value_or("") == reason_info(code).name;
}

bool is_code(std::string_view text) {
  return !text.empty() && text.size() <= 64 &&
         text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == text.npos;
}

bool is_plain_word(std::string_view text) {
  return !text.empty() && text.size() <= 64 &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_") == text.npos;
}

Result<Answer> parse_answer(const Json& line) {
  Answer answer;
  answer.ok = OM_TRY(json_bool(line, "ok"));
  if (line.contains("data")) answer.data = line["data"];
  if (answer.ok) return answer;
  // A daemon of a later release may have others.
  const int64_t status = OM_TRY(json_int(line, "exit", 1, 99));
  answer.failure.exit = status <= static_cast<int64_t>(ExitCode::kSomeLeft)
                            ? static_cast<ExitCode>(status)
                            : ExitCode::kFailure;
  answer.failure.code = OM_TRY(json_string(line, "code", 64));
  answer.failure.message = OM_TRY(json_string(line, "message", kMaxRequestBytes));
  return answer;
}

}  // namespace om
