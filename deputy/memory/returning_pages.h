// SPDX-License-Identifier: Apache-2.0
//
// The frames in which a keeper sends a body's memory home. The bytes are a foreign node's: a frame is taken only where
// home has asked for it, and only once, so that their number is bounded whatever the keeper sends.
#pragma once

#include <stdint.h>

#include <chrono>
#include <vector>

#include "common/image/bulk.h"
#include "common/movable/verdict.h"

namespace om::deputy {

class ReturningPages {
 public:
  struct Part {
    uint64_t lo, hi;
    bool file;  // zero pages are told, because home would show something else
  };
  using Time = std::chrono::steady_clock::time_point;

  // Parts ascending, none overlaps.
  ReturningPages(std::vector<Part> parts, Time now) : parts_(std::move(parts)), begun_(now) {}

  // True: data or zeros for a place. False: it was the last one. Else INTERNAL, or TARGET_UNREACHABLE because it takes
  // too long.
  Verdict<bool> take(const BulkHeader& frame, Time now);
  // Behind the last frame: have all come that the keeper has counted?
  bool complete() const { return complete_; }

 private:
  std::vector<Part> parts_;
  Time begun_;
  uint64_t next_ = 0, frames_ = 0, bytes_ = 0;
  bool complete_ = false;
};

}  // namespace om::deputy
