// SPDX-License-Identifier: Apache-2.0
//
// Checks what home says about a process before a byte of it is used; these functions look at nothing else. What they
// let pass concerns the guest's own memory only.
#pragma once

#include <stdint.h>

#include <vector>

#include "common/image/description.h"
#include "common/movable/verdict.h"
#include "common/proc/maps.h"
#include "common/schema/session.capnp.h"
#include "libom/abi/memory.h"

namespace om::guest {

namespace schema = ::om::wire;

// Where libom lies in the program, and what lies where in it.
struct Bounds {
  uint64_t image_lo = 0, image_hi = 0;  // libom's image, page aligned
  uint64_t gate_lo = 0, gate_hi = 0;    // its system call instructions, within the image
  uint64_t body_state = 0, body_entry = 0;
  uint64_t arena = 0;
  uint32_t slots = 0;           // of the arena, 1 to kMaxSlots
  uint32_t launched_slots = 0;  // that there are channels for

  // Whether [lo, hi) overlaps libom's memory.
  bool hit(uint64_t lo, uint64_t hi) const;
};

// INTERNAL. Sets `bounds` on success.
Step check_spec(schema::BodySpec::Reader spec, Bounds& bounds);

// Whether the described process can be built around the libom at `bounds`. INTERNAL.
Step check_image(const Description& image, const Bounds& bounds);

// What home wants of the memory that a body has, in pieces that take only a moment to scan. (The kernel visits only
// what has page tables: 8 TiB of untouched memory take it 14 us.)
constexpr uint64_t kScanBytes = uint64_t{1} << 40;
struct WantedRange {
  uint64_t lo, hi;
  bool file;
};
// `ranges` must be whole pages, ascending, without overlaps. Leaves out what the body has not mapped. INTERNAL.
Step check_ranges(capnp::List<schema::Range>::Reader ranges, const std::vector<proc::Mapping>& maps,
                  std::vector<WantedRange>& wanted);

}  // namespace om::guest
