// SPDX-License-Identifier: Apache-2.0
//
// The answer of om why and om check: whether the process can move, and if not, each reason with its remedy.
#pragma once

#include <string>
#include <vector>

#include "common/movable/reasons.h"
#include "common/net/json_line.h"

namespace om::cli {

struct ReasonText {
  std::string code;
  std::string message;
  std::string remedy;
};

std::vector<ReasonText> reason_texts(const std::vector<Reason>& reasons);

// For a code from another program; takes the remedy from the table if the code is in it.
ReasonText reason_text(const std::string& code, const std::string& message);

// {"can_move":..., "reasons":[{"code","message","remedy"}]}
Json reasons_json(const std::vector<ReasonText>& reasons);

// For humans: for each reason a line with code and sentence, and an indented one with the remedy.
std::string reasons_human(const std::vector<ReasonText>& reasons);

}  // namespace om::cli
