// SPDX-License-Identifier: Apache-2.0
//
// Limits that the body takes over from the process at home.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <iterator>

#include "common/base/result.h"
#include "common/schema/session.capnp.h"

namespace om::deputy {

class InheritedLimits {
 public:
  InheritedLimits() = default;
  // ESRCH, EPERM.
  static Result<InheritedLimits> read(pid_t pid);

  bool operator==(const InheritedLimits& other) const;
  void write(wire::BodySpec::Builder spec) const;

 private:
  static constexpr int kResources[] = {RLIMIT_AS, RLIMIT_DATA, RLIMIT_STACK, RLIMIT_MEMLOCK};

  rlimit limits_[std::size(kResources)] = {};
};

}  // namespace om::deputy
