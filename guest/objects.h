// SPDX-License-Identifier: Apache-2.0
//
// Memory objects of the guest (MemoryObject of libom/abi/memory.h): each is a memfd of the keeper's, of which the body
// has one mapping with all of it, made before it was confined, and of that as many views as the program had. Pages go
// in through the body's mapping. What there is to collect the descriptor says: page tables do not show what has been
// swapped out of shared memory.
#pragma once

#include <stdint.h>

#include <vector>

#include "common/base/result.h"
#include "common/base/unique_fd.h"
#include "common/image/description.h"
#include "common/image/expected_pages.h"
#include "common/movable/verdict.h"
#include "common/proc/maps.h"
#include "common/proc/pagemap.h"

namespace om::guest {

class BodyProcess;

class Objects {
 public:
  // Makes them and hands them to the body. NO_MEMORY, FD_LIMIT, INTERNAL.
  Step make(BodyProcess& body, const std::vector<Description::Object>& objects);

  // Whether the object that has its view there has all of [lo, hi).
  bool contain(uint64_t lo, uint64_t hi) const;
  // Where pages of theirs may go.
  void add_places(std::vector<ExpectedPages::Place>& places) const;
  // Their contents are looked at through their descriptors, whether the body has mapped them or not.
  void add_places(std::vector<proc::Mapping>& maps) const;
  // Where there is something in [lo, hi), as Pagemap::runs.
  Result<std::vector<proc::PageRun>> runs(uint64_t lo, uint64_t hi) const;

 private:
  struct Object {
    UniqueFd fd;
    uint64_t view, bytes;
  };
  std::vector<Object> objects_;
};

}  // namespace om::guest
