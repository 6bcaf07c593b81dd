// SPDX-License-Identifier: Apache-2.0
#include "cli/reason_list.h"

#include <nlohmann/json.hpp>

#include "cli/output.h"

namespace om::cli {

std::vector<ReasonText> reason_texts(const std::vector<Reason>& reasons) {
  std::vector<ReasonText> texts;
  for (const Reason& reason : reasons) {
    texts.push_back({std::string(reason.name()), reason.message(), std::string(reason.remedy())});
  }
  return texts;
}

ReasonText reason_text(const std::string& code, const std::string& message) {
  auto known = reason_from_name(code);
  return {code, message, known ? std::string(reason_info(*known).remedy) : ""};
}

Json reasons_json(const std::vector<ReasonText>& reasons) {
  Json list = Json::array();
  for (const ReasonText& reason : reasons) {
    list.push_back({{"code", reason.code}, {"message", reason.message}, {"remedy", reason.remedy}});
  }
  return Json{{"can_move", reasons.empty()}, {"reasons", list}};
}

std::string reasons_human(const std::vector<ReasonText>& reasons) {
  std::string text;
  for (const ReasonText& reason : reasons) {
    text += reason.code + ": " + harmless(reason.message) + "\n";
    if (!reason.remedy.empty()) text += "    " + reason.remedy + "\n";
  }
  return text;
}

}  // namespace om::cli
