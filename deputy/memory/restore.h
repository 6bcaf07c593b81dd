// SPDX-License-Identifier: Apache-2.0
//
// Puts a body's memory into the process at home, whose threads are stopped: a part for each place whose contents the
// keeper has to send. Drops old contents first; a failure leaves home without them, and the body goes on.
#pragma once

#include <stdint.h>

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "common/image/description.h"
#include "common/image/page_source.h"
#include "deputy/home/home_side.h"
#include "deputy/memory/address_space.h"
#include "deputy/memory/objects.h"
#include "libom/abi/memory.h"

namespace om::deputy {

class Restore {
 public:
  // Waits for what the keeper sends next, or throws.
  using Wait = std::function<PageSource::Next(kj::Promise<PageSource::Next>&&)>;

  // `thread` is one of `stop` and runs libom's code on `stack`.
  Restore(HomeSide& home, StoppedProcess& stop, StoppedThread& thread, uint64_t stack)
      : home_(home), stop_(stop), thread_(thread), stack_(stack), objects_(home) {}

  // Makes home's mappings match the body's and works out what the keeper is to send. HOME_MEMORY.
  Step plan(const Description& body);
  // Ascending, without overlaps.
  const std::vector<ExpectedPages::Place>& asked() const { return asked_; }
  // Gives back what the body may have changed: what it does not send must not show old contents. HOME_MEMORY.
  Step drop();
  // Takes frames up to the end mark. `pages` expects asked().
  Step receive(PageSource& pages, const Wait& wait);

 private:
  Step plan_stack(const Region& r, uint64_t lowest);
  Step add_region(const Region& r, const Description& body);
  Step drop(std::span<const Range> some);
  Step put(const PageSource::Frame& frame);
  Step store_zeros(uint64_t address, size_t bytes);
  Step store(uint64_t address, std::span<const std::byte> bytes);

  HomeSide& home_;
  StoppedProcess& stop_;
  StoppedThread& thread_;
  uint64_t stack_;
  MemoryObjects objects_;
  std::vector<ExpectedPages::Place> asked_;
  std::vector<Range> drops_;
  uint64_t stack_lo_ = 0, stack_hi_ = 0;  // of the program's stack, with what the body has grown
};

}  // namespace om::deputy
