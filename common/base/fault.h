// SPDX-License-Identifier: Apache-2.0
//
// Failures on demand, for tests: every step of a migration has a name and a number and fails when OM_FAULT says so.
//
//   OM_FAULT=STEP[:N[:HOW]]   STEP: a name of fault_steps() or its number from 1 on
//                             N: at the N-th time that this process comes by (1)
//                             HOW: fail (an error, as if the step had not succeeded), kill (SIGKILL to this process)
//                             or hold (waits, at most a minute, until FILE says something else, and does that if it is
//                             of the same step)
//   OM_FAULT=@FILE            FILE holds that; it is read at each step, no file means no fault
//
// Hosted code of the deputy and the keeper, which have it from om-migrator's environment. One thread.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace om {

struct FaultStep {
  std::string_view name;  // "depart.stop"
  std::string_view what;  // what fails
};

// In the order in which a migration comes by: departure, then homecoming.
std::span<const FaultStep> fault_steps();

// True if the step is to fail now. With HOW kill it does not return, with hold late.
bool fault_at(std::string_view step);

// What a failed step says.
std::string fault_text(std::string_view step);

}  // namespace om
