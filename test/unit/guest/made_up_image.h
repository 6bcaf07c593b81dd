// SPDX-License-Identifier: Apache-2.0
//
// A process as home could describe it, for tests that change one thing in it: libom's image and arena high up, one
// mapping of the program and its stack below, one thread.
#pragma once

#include <capnp/message.h>

#include "common/schema/session.capnp.h"
#include "guest/checks.h"
#include "libom/abi/body.h"
#include "libom/abi/thread.h"

namespace om::guest {

constexpr uint64_t kImageLo = 0x7e0000000000, kImageHi = kImageLo + 64 * kPageSize;
constexpr uint64_t kArena = 0x7d0000000000, kProgram = 0x100000000;
constexpr uint64_t kStackLo = 0x7c0000000000, kStackHi = kStackLo + 16 * kPageSize;

class MadeUpImage {
 public:
  MadeUpImage() : spec_(message_.initRoot<schema::BodySpec>()) {
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
    image_ = image_message_.initRoot<schema::Image>();
    mappings(2);
    mapping(0, kProgram, kProgram + 8 * kPageSize, kKindMemory);
    mapping(1, kStackLo, kStackHi, kKindStack);
    auto thread = image_.initThreads(1)[0];
    ThreadState s{};
    s.kind = kThreadUser;
    thread.setState(kj::arrayPtr(reinterpret_cast<const kj::byte*>(&s), sizeof s));
    image_.initIds(8);
    image_.initUts(sizeof(BodyState::uts));
    image_.setHomeMonoNs(1);
    image_.setHomeRealNs(1);
  }

  schema::BodySpec::Builder& spec() { return spec_; }
  schema::Image::Builder& image() { return image_; }
  void mappings(unsigned n) { image_.initMappings(n); }
  void mapping(unsigned i, uint64_t lo, uint64_t hi, uint32_t kind, uint32_t prot = 3) {
    auto m = image_.getMappings()[i];
    m.setLo(lo);
    m.setHi(hi);
    m.setProt(prot);
    m.setKind(kind);
  }
  void guard(uint64_t lo, uint64_t hi) {
    auto g = image_.initGuards(1)[0];
    g.setLo(lo);
    g.setHi(hi);
  }
  Bounds bounds() {
    Bounds b;
    (void)check_spec(spec_.asReader(), b);
    return b;
  }
  bool spec_passes() {
    Bounds b;
    return check_spec(spec_.asReader(), b).ok();
  }
  bool image_passes() { return check_image(image_.asReader(), bounds()).ok(); }

 private:
  capnp::MallocMessageBuilder message_, image_message_;
  schema::BodySpec::Builder spec_;
  schema::Image::Builder image_ = nullptr;
};

}  // namespace om::guest
