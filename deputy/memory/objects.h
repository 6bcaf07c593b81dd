// SPDX-License-Identifier: Apache-2.0
//
// Memory objects that the process sees in more than one way: through several mappings, or a descriptor. In the body
// they are shared memory with as many views. On the wire their pages have the addresses of a view of the whole object,
// which only the body has (MemoryObject of libom/abi/memory.h).
//
// At home we read and write their contents through a descriptor of the process, reopened here for the length of a move;
// libom makes sure that one stays open (libom/stub/objects.cc). Where there is none, the process can see only what the
// mappings show.
#pragma once

#include <stdint.h>

#include <cstddef>
#include <span>
#include <vector>

#include "common/base/unique_fd.h"
#include "common/image/page_sink.h"
#include "common/movable/preflight.h"
#include "deputy/home/home_side.h"
#include "libom/abi/memory.h"

namespace om::deputy {

// The memory object of HomeState that a mapping shows; nullptr if it shows none.
const MemoryObject* object_of(const HomeSide& home, const proc::Mapping& map);

// During one move. The list of them is HomeState.objects.
class MemoryObjects {
 public:
  explicit MemoryObjects(HomeSide& home) : home_(home) {}

  // For a departure: takes the objects of the report and gives each a place in the body with room for all of it, where
  // at home only executors map. SHARED_WRITABLE.
  Step find(const ProcessReport& report);
  Step ship(PageSink& sink);
  // Closes them all: to others, an object that we hold open would be another process's.
  void close() { fds_.clear(); }
  // For a return: opens them, once home's mappings are as the body's were. HOME_MEMORY.
  Step open();
  // Whether the address is in the body's view of one.
  bool contains(uint64_t address) const;
  // Stores whole pages of the body's. HOME_MEMORY.
  Step store(uint64_t address, std::span<const std::byte> bytes, bool zeros);

 private:
  uint64_t shown_bytes(const proc::ObjectId& id) const;
  void ship_shown(PageSink& sink, const MemoryObject& o);
  Step store_in_mappings(const MemoryObject& o, uint64_t offset, std::span<const std::byte> bytes);

  HomeSide& home_;
  std::vector<UniqueFd> fds_;  // of each; none: not open
};

}  // namespace om::deputy
