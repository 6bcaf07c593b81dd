// SPDX-License-Identifier: Apache-2.0
//
// Pages on the BULK connection between deputy and keeper, both ways: a stream of frames, each a header and,
// for kBulkData, `bytes` bytes. Little endian. The receiver checks that a frame lies in memory that it
// expects; it never trusts an address.
#pragma once

#include <stdint.h>

#include <vector>

namespace om {

constexpr uint32_t kBulkData = 1;  // `bytes` bytes for `address`
constexpr uint32_t kBulkZero = 2;  // `bytes` zero bytes at `address`; nothing follows
constexpr uint32_t kBulkEnd = 3;   // address = frames sent before, bytes = 0

struct BulkHeader {
  uint32_t kind;
  uint32_t bytes;    // multiple of the page size, at most kBulkMaxBytes
  uint64_t address;  // page aligned
};
static_assert(sizeof(BulkHeader) == 16);

constexpr uint32_t kBulkMaxBytes = 1u << 20;

// The memory that a receiver expects frames for.
class BulkPlaces {
 public:
  struct Place {
    uint64_t lo, hi;  // page aligned
  };
  BulkPlaces() = default;
  // They do not overlap.
  explicit BulkPlaces(std::vector<Place> places);

  // Whether size and address of the header are as above and all of it lies in places (it may fill neighbours).
  bool holds(const BulkHeader& frame) const;

 private:
  std::vector<Place> places_;
};

}  // namespace om
