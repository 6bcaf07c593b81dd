// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target: what home tells a keeper (common/image/description.h, guest/checks.h), as Cap'n Proto messages, and the
// headers of the pages that follow. Everything accepted is in the program's half of the address space, apart from
// libom, and no two mappings overlap.
//
//   input   BodySpec message and Image message, both packed, BulkHeaders
#include <capnp/serialize-packed.h>
#include <kj/exception.h>
#include <string.h>

#include <algorithm>
#include <vector>

#include "common/image/description.h"
#include "common/image/expected_pages.h"
#include "guest/checks.h"
#include "libom/abi/body.h"
#include "test/fuzz/fuzz.h"

using namespace om::guest;
using om::fuzz::require;

namespace {

using Kind = om::Description::MappingKind;

constexpr uint64_t kUserEnd = uint64_t{1} << 47;

capnp::ReaderOptions limits() {
  capnp::ReaderOptions options;
  options.traversalLimitInWords = 1 << 20;
  return options;
}

void check_frames(om::ExpectedPages expected, const om::Description& image, const Bounds& bounds,
                  const kj::byte* data, size_t size) {
  for (; size >= sizeof(om::BulkHeader);
       data += sizeof(om::BulkHeader), size -= sizeof(om::BulkHeader)) {
    om::BulkHeader frame;
    memcpy(&frame, data, sizeof frame);
    const auto taken = expected.take(frame, {});
    if (!taken || !*taken) continue;
    const uint64_t end = frame.address + frame.bytes;
    require(end > frame.address && end <= kUserEnd && !bounds.hit(frame.address, end));
    for (uint64_t page = frame.address; page < end; page += om::kPageSize) {
      bool inside = false;
      for (const auto& m : image.mappings)
        inside = inside || (m.kind != Kind::RESERVE && m.lo <= page && page < m.hi);
      require(inside);
    }
  }
}

void check(kj::ArrayInputStream& input) {
  capnp::PackedMessageReader first(input, limits());
  Bounds bounds;
  if (!check_spec(first.getRoot<schema::BodySpec>(), bounds).ok()) return;
  require(bounds.image_lo < bounds.image_hi && bounds.image_hi <= kUserEnd);
  require(bounds.body_state >= bounds.image_lo &&
          bounds.image_hi - bounds.body_state >= sizeof(om::BodyState));
  require(bounds.slots >= 1 && bounds.slots <= om::kMaxSlots && bounds.launched_slots >= 1);
  require(bounds.arena + om::arena_bytes(bounds.slots) <= kUserEnd);

  capnp::PackedMessageReader second(input, limits());
  const auto described = om::read_description(second.getRoot<om::wire::Image>());
  if (!described) return;
  const om::Description& image = *described;
  if (!check_image(image, bounds).ok()) return;
  std::vector<om::ExpectedPages::Place> all, places;
  for (const auto& m : image.mappings) {
    require(m.lo < m.hi && m.hi <= kUserEnd && !bounds.hit(m.lo, m.hi));
    for (const auto& other : all) require(m.lo >= other.hi || m.hi <= other.lo);
    all.push_back({m.lo, m.hi});
    if (m.kind != Kind::RESERVE) places.push_back(all.back());
  }
  require(image.threads.size() >= 1 && image.threads.size() <= bounds.launched_slots);
  const auto rest = input.tryGetReadBuffer();
  check_frames({std::move(places), om::ExpectedPages::Order::kAny, {}}, image, bounds, rest.begin(),
               rest.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // A malformed message ends the session with an exception.
  static_cast<void>(kj::runCatchingExceptions([&] {
    kj::ArrayInputStream input(kj::arrayPtr(data, size));
    check(input);
  }));
  return 0;
}
