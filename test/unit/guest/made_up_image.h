// SPDX-License-Identifier: Apache-2.0
//
// A process as home could describe it, for tests that change one thing: libom's image and arena high up, one mapping of
// the program and its stack below, one thread.
#pragma once

#include <capnp/message.h>

#include "common/schema/session.capnp.h"
#include "guest/body_layout.h"
#include "test/unit/common/made_up_description.h"

namespace om::guest {

constexpr uint64_t kImageLo = 0x7e0000000000, kImageHi = kImageLo + 64 * kPageSize;
constexpr uint64_t kArena = 0x7d0000000000;

class MadeUpImage {
 public:
  MadeUpImage() : image(made_up_description()), spec_(message_.initRoot<schema::BodySpec>()) {
    spec_.setImageLo(kImageLo);
    spec_.setImageHi(kImageHi);
    spec_.setGateLo(kImageLo + kPageSize);
    spec_.setGateHi(kImageLo + 2 * kPageSize);
    spec_.setBodyEntry(kImageLo + kPageSize);
    spec_.setBodyState(kImageLo + 16 * kPageSize);
    spec_.setArena(kArena);
    spec_.setSlots(8);
    spec_.setThreads(1);
    spec_.initImage(kImageHi - kImageLo);
  }

  schema::BodySpec::Builder& spec() { return spec_; }
  Bounds bounds() {
    Bounds b;
    (void)check_spec(spec_.asReader(), b);
    return b;
  }
  BodyLayout layout() {
    BodyLayout layout;
    layout.bounds = bounds();
    layout.home_xstate = layout.local_xstate = image.xstate;
    return layout;
  }
  bool spec_passes() {
    Bounds b;
    return check_spec(spec_.asReader(), b).ok();
  }
  bool image_passes() { return check_image(image, bounds()).ok(); }

  Description image;

 private:
  capnp::MallocMessageBuilder message_;
  schema::BodySpec::Builder spec_;
};

}  // namespace om::guest
