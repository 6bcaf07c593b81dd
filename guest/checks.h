// SPDX-License-Identifier: Apache-2.0
//
// What home says of a process is checked before a byte of it is used: these functions look at nothing else. What
// they let pass concerns the guest's own memory only.
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

  // Whether [lo, hi) has a byte of libom's memory.
  bool hit(uint64_t lo, uint64_t hi) const;
};

// INTERNAL; `bounds` is set when it is all right.
Step check_spec(schema::BodySpec::Reader spec, Bounds& bounds);

// Whether a process that is described so can be built around the libom at `bounds`. INTERNAL.
Step check_image(const Description& image, const Bounds& bounds);

// What home wants of a body's memory, within what there is: in pieces that are looked through in a moment. (The kernel
// looks at what has page tables only: 8 TiB of which nothing has been touched take it 14 us.)
constexpr uint64_t kScanBytes = uint64_t{1} << 40;
struct WantedRange {
  uint64_t lo, hi;
  bool file;
};
// Pages, ascending, none twice. What is not mapped in the body is left out. INTERNAL.
Step check_ranges(capnp::List<schema::Range>::Reader ranges, const std::vector<proc::Mapping>& maps,
                  std::vector<WantedRange>& wanted);

}  // namespace om::guest
