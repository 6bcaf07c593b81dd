// SPDX-License-Identifier: Apache-2.0
#include "deputy/moves/record.h"

namespace om::deputy {

void MoveRecord::conclude(const Step& done, std::chrono::steady_clock::duration took) {
  total_ms = std::chrono::duration<double, std::milli>(took).count();
  if (done.ok()) {
    result = "moved";
    return;
  }
  reason = done.reason();
  const ReasonCode code = reason->code;
  result = code == ReasonCode::kInternal || code == ReasonCode::kTimeout ? "failed" : "refused";
}

nlohmann::json MoveRecord::to_json() const {
  return {{"pid", pid},
          {"from", from},
          {"to", to},
          {"mode", mode},
          {"freeze_ms", freeze_ms},
          {"total_ms", total_ms},
          {"bytes_raw", bytes_raw},
          {"bytes_wire", bytes_wire},
          {"pages", pages},
          {"threads", threads},
          {"result", result},
          {"code", reason ? reason->name() : ""},
          {"message", reason ? reason->message() : ""}};
}

}  // namespace om::deputy
