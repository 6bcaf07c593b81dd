// SPDX-License-Identifier: Apache-2.0
//
// Pages as a stream of frames, on the BULK connection between deputy and keeper (both ways) or in a file. A frame is a
// header and, for kBulkData, `bytes` bytes. Little endian. page_sink.h writes frames, page_source.h reads them,
// expected_pages.h checks them: no address is trusted.
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
