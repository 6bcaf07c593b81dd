// SPDX-License-Identifier: Apache-2.0
//
// Memory objects of the guest (MemoryObject of libom/abi/memory.h): each is a memfd of the keeper's. The body maps all
// of it once, before it is confined, and from that makes as many views as the program had. Pages go in through the
// body's mapping. The descriptor tells what there is to collect: page tables do not show shared memory that is swapped
// out.
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

  // Whether the view of one object contains all of [lo, hi).
  bool contain(uint64_t lo, uint64_t hi) const;
  // Adds the places where their pages may go.
  void add_places(std::vector<ExpectedPages::Place>& places) const;
  // Puts whole objects in place of the body's mappings of them: their contents are read through descriptors, whether
  // the body has mapped them or not.
  void add_places(std::vector<proc::Mapping>& maps) const;
  // The runs of [lo, hi) that hold something, as Pagemap::runs.
  Result<std::vector<proc::PageRun>> runs(uint64_t lo, uint64_t hi) const;

 private:
  struct Object {
    UniqueFd fd;
    uint64_t view, bytes;
  };
  std::vector<Object> objects_;
};

}  // namespace om::guest
