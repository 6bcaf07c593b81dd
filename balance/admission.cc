// SPDX-License-Identifier: Apache-2.0
#include "balance/admission.h"

#include <cmath>

#include "balance/rules.h"

namespace om::balance {
namespace {

bool sensible(double value) { return std::isfinite(value) && value >= 0; }

}  // namespace

Ask ask_for(const ProcessLoad& process, const Move& move, bool judged) {
  const Terms& terms = move.terms;
  return {process.threads,
          process.resident_bytes,
          process.feature_class,
          judged && move.cause != Cause::kMemory,
          terms.leave * terms.e_here,
          terms.join,
          terms.weight * terms.e_there,
          terms.net()};
}

Ask ask_for(const NewJob& job, const Move& move, bool judged) {
  return {job.threads,      job.resident_bytes, job.feature_class, judged,
          move.terms.leave, move.terms.join,    move.terms.weight, move.terms.net()};
}

Against admit(const NodeLoad& self, const Ask& ask, const Constants& constants) {
  if ((self.flags & kFlagBlock) != 0) return Against::kBlocked;
  if ((self.flags & kFlagDrain) != 0) return Against::kDraining;
  if ((self.flags & kFlagOwner) != 0) return Against::kOwner;
  if ((self.flags & kFlagFull) != 0) return Against::kFull;
  if (self.feature_class < ask.feature_class) return Against::kFeatures;
  if (!sensible(ask.threads) || !sensible(ask.resident_bytes) || !sensible(ask.leave) ||
      !sensible(ask.join) || !sensible(ask.weight) || !std::isfinite(ask.net))
    return Against::kBusy;
  if (self.free_bytes < room_needed(constants, self, ask.resident_bytes)) return Against::kMemory;
  if (!ask.judged) return Against::kNothing;
  const double join = join_time(self.machine, self.k, ask.threads);
  if (join * constants.margin >= ask.leave) return Against::kBusy;
  return ask.net - ask.weight * (join - ask.join) > 0 ? Against::kNothing : Against::kBusy;
}

}  // namespace om::balance
