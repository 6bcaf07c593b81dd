// SPDX-License-Identifier: Apache-2.0
//
// Pages on the BULK connection between deputy and keeper, both ways: a stream of frames, each a header and,
// for kBulkData, `bytes` bytes. Little endian. The receiver checks that a frame lies in memory that it
// expects; it never trusts an address.
#pragma once

#include <stdint.h>

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

}  // namespace om
