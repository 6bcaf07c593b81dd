// SPDX-License-Identifier: Apache-2.0
//
// How the parts that make and keep a cluster say why they did not do something.
#pragma once

#include <string>
#include <utility>

#include "common/base/result.h"
#include "common/net/control.h"

namespace om::migrator {

inline Failure refused(ReasonCode code, std::string text) {
  return {ExitCode::kRefused, code, std::move(text)};
}

// Of a file, or of what was given.
inline Failure trouble(const Error& error) { return {ExitCode::kFailure, error.text()}; }

inline Failure not_a_member() {
  return refused(ReasonCode::kNotAMember, "this node is in no cluster");
}

// No member of the cluster answers: an attempt failed, nobody has refused anything.
inline Failure no_member(std::string text) {
  Failure failure = refused(ReasonCode::kNoMember, std::move(text));
  failure.exit = ExitCode::kFailure;
  return failure;
}

}  // namespace om::migrator
