// SPDX-License-Identifier: Apache-2.0
//
// The speed of this node: what its administrator says, or what was measured at the first start.
#pragma once

#include <stdint.h>

#include <memory>
#include <optional>
#include <string>

#include "common/base/own_directory.h"
#include "common/uv/loop.h"

namespace om::migrator {

class OwnSpeed {
 public:
  // Without `given` it is taken from the directory, or measured on a thread of the pool and kept there. `state` must
  // outlive this object.
  OwnSpeed(Loop& loop, const OwnDirectory& state, std::optional<uint32_t> given);
  ~OwnSpeed();

  // nullopt: not measured yet, or it cannot be.
  std::optional<uint32_t> now() const { return speed_; }

 private:
  void measure(Loop& loop, std::string cpu);

  const OwnDirectory& state_;
  std::optional<uint32_t> speed_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for callbacks from the pool
};

}  // namespace om::migrator
