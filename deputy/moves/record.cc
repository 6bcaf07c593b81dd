// SPDX-License-Identifier: Apache-2.0
#include "deputy/moves/record.h"

namespace om::deputy {

void MoveRecord::conclude(const Step& done, std::chrono::steady_clock::duration took) {
  total_ms = std::chrono::duration<double, std::milli>(took).count();
  if (done.ok()) {
    result = "moved";
    return;
  }
  reason = done.error();
  const ReasonCode code = reason->code;
  result = code == ReasonCode::kInternal || code == ReasonCode::kTimeout ? "failed" : "refused";
}

}  // namespace om::deputy
