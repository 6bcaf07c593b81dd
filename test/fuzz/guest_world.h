// SPDX-License-Identifier: Apache-2.0
//
// The surroundings of a keeper, for fuzz targets: a body that is a table of pages, connections that are pipes within
// the process, and a clock that advances when nothing else happens. guest_world.cc replaces BodyProcess, HomeLink,
// ProcessMemory, proc::Pagemap, proc::read_maps() and std::chrono::steady_clock.
//
// One world at a time, one thread.
#pragma once

#include <kj/async-io.h>
#include <kj/debug.h>
#include <kj/timer.h>
#include <stdint.h>

#include <array>
#include <functional>
#include <map>
#include <vector>

#include "common/net/preamble.h"
#include "common/proc/maps.h"
#include "libom/abi/layout.h"

namespace om::fuzz {

// When nothing is left to do, the next timer is due; without one everybody would wait for ever, which is a finding.
class Time final : public kj::EventPort {
 public:
  kj::TimerImpl timer{kj::origin<kj::TimePoint>()};
  int64_t now_ns() const { return (timer.now() - kj::origin<kj::TimePoint>()) / kj::NANOSECONDS; }
  bool wait() override;
  bool poll() override { return false; }
};

class Provider final : public kj::AsyncIoProvider {
 public:
  explicit Provider(kj::Timer& timer) : timer_(timer) {}
  kj::OneWayPipe newOneWayPipe() override { return kj::newOneWayPipe(); }
  kj::TwoWayPipe newTwoWayPipe() override { return kj::newTwoWayPipe(); }
  kj::Network& getNetwork() override { KJ_UNIMPLEMENTED("network"); }
  PipeThread newPipeThread(
      kj::Function<void(kj::AsyncIoProvider&, kj::AsyncIoStream&, kj::WaitScope&)>) override {
    KJ_UNIMPLEMENTED("threads");
  }
  kj::Timer& getTimer() override { return timer_; }

 private:
  kj::Timer& timer_;
};

struct World {
  World();
  ~World();

  Time time;
  kj::EventLoop loop{time};
  kj::WaitScope scope{loop};

  // Of the body.
  static constexpr uint64_t kTop = uint64_t{1} << 47;
  std::map<uint64_t, std::array<std::byte, kPageSize>> pages;
  std::vector<proc::Mapping> maps;
  uint64_t arena = 0, body_state = 0;
  int64_t result = 0;         // of the body's steps
  bool may_write_all = true;  // until it has been built

  // The keeper's connections: returns the other end. An exception if it may not connect.
  std::function<kj::Own<kj::AsyncIoStream>(PreambleKind)> connect;

  bool mapped(uint64_t lo, uint64_t hi) const;
};

World& world();

}  // namespace om::fuzz
