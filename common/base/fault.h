// SPDX-License-Identifier: Apache-2.0
//
// Failures on demand, for tests: every step of a migration has a name and a number, and OM_FAULT makes it fail.
//
//   OM_FAULT=STEP[:N[:HOW]]   STEP: a name from fault_steps(), or its number, counted from 1
//                             N: the N-th time that this process reaches the step (default 1)
//                             HOW: fail (an error, as if the step had not succeeded), kill (SIGKILL to this process)
//                             or hold (waits, at most a minute, until FILE says something else, and does that if it is
//                             of the same step)
//   OM_FAULT=@FILE            FILE holds that setting; it is read at each step, no file means no fault
//
// For the hosted code of the deputy and the keeper, which get OM_FAULT from om-migrator's environment. One thread.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace om {

struct FaultStep {
  std::string_view name;  // "depart.stop"
  std::string_view what;  // what fails
};

// In the order in which a migration reaches them: departure, then homecoming.
std::span<const FaultStep> fault_steps();

// Whether the step is to fail now. With HOW kill it does not return, with hold it returns late.
bool fault_at(std::string_view step);

// The message of a failed step.
std::string fault_text(std::string_view step);

}  // namespace om
