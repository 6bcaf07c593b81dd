// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target: frames of a hostile keeper during a homecoming (common/image/expected_pages.h). What is accepted was
// requested, comes once, and is bounded.
//
//   input   parts: a byte for the gap before one, one for its pages and whether home has a file there, until a part
//           without pages; then frames: kind (1 byte), pages (2), address (2, in pages), seconds since the one
//           before (1). 0xff as kind: the next 16 bytes are the frame.
#include <string.h>

#include "common/image/expected_pages.h"
#include "libom/abi/layout.h"
#include "test/fuzz/fuzz.h"

using om::fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using om::ExpectedPages;
  om::fuzz::Bytes bytes(data, size);
  std::vector<ExpectedPages::Place> parts;
  uint64_t at = 16 * om::kPageSize, asked = 0;
  for (;;) {
    at += bytes.take<uint8_t>() * om::kPageSize;
    const uint8_t what = bytes.take<uint8_t>();
    if ((what & 127) == 0) break;
    const uint64_t n = (what & 127) * om::kPageSize;
    parts.push_back({at, at + n, (what & 128) != 0});
    at += n;
    asked += n;
  }
  ExpectedPages::Time now{};
  ExpectedPages returning(parts, ExpectedPages::Order::kOnce, now);
  uint64_t taken = 0, end = 0, frames = 0;
  while (bytes.rest_size() != 0) {
    om::BulkHeader h{};
    h.kind = bytes.take<uint8_t>();
    if (h.kind == 0xff) {
      h.kind = bytes.take<uint32_t>();
      h.bytes = bytes.take<uint32_t>();
      h.address = bytes.take<uint64_t>();
    } else {
      h.bytes = bytes.take<uint16_t>() * static_cast<uint32_t>(om::kPageSize);
      h.address = bytes.take<uint16_t>() * om::kPageSize;
      now += std::chrono::seconds(bytes.take<uint8_t>());
    }
    auto verdict = returning.take(h, now);
    if (!verdict) return 0;
    if (!verdict.value()) {
      require(returning.complete() == (h.address == frames));
      return 0;
    }
    frames++;
    require(h.kind == om::kBulkData || h.kind == om::kBulkZero);
    require(h.bytes != 0 && h.bytes <= om::kBulkMaxBytes && h.address >= end);
    end = h.address + h.bytes;
    for (uint64_t page = h.address; page < end; page += om::kPageSize) {
      bool within = false;
      for (const auto& part : parts) {
        if (part.lo <= page && page < part.hi) within = h.kind == om::kBulkData || part.zeros;
      }
      require(within);
    }
    taken += h.bytes;
    require(taken <= asked);
    require(now.time_since_epoch() < std::chrono::seconds(61 + taken / 4096));
  }
  return 0;
}
