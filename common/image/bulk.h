// SPDX-License-Identifier: Apache-2.0
//
// Pages as a stream of frames, on the BULK connection between deputy and keeper, both ways, or in a file: each a header
// and, for kBulkData, `bytes` bytes. Little endian. Written by page_sink.h, read by page_source.h, judged by
// expected_pages.h: an address is never trusted.
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
