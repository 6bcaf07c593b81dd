// SPDX-License-Identifier: Apache-2.0
//
// Writes pages as the frames of bulk.h to a byte stream. Callers pass whole pages; this code finds out which of them
// are zero.
#pragma once

#include <kj/async-io.h>
#include <stdint.h>

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "common/image/bulk.h"

namespace om {

struct PageCounts {
  uint64_t frames = 0;            // not counting the end mark
  uint64_t pages = 0, bytes = 0;  // with contents
  uint64_t wire = 0;              // all bytes written
};

class PageSink {
 public:
  // Waits until `written` is done, or throws; how is up to the caller.
  using Wait = std::function<void(kj::Promise<void>&& written)>;

  PageSink(kj::AsyncOutputStream& out, Wait wait)
      : out_(out), wait_(std::move(wait)), buffer_(kBulkMaxBytes) {}

  // Space for contents: `want` bytes, or as many as fit in a frame. Valid until the next call.
  std::span<std::byte> buffer(uint64_t want);
  // Sends whole pages for `address`, in frames with contents. Skips zero pages, or with `tell_zeros` sends them as zero
  // frames, for where the other end would otherwise show something else. At most kBulkMaxBytes.
  void pages(uint64_t address, std::span<const std::byte> contents, bool tell_zeros = false);
  void zeros(uint64_t lo, uint64_t hi);
  // The end mark: everything has been sent.
  void end();
  // Writes an end mark that no receiver takes for a complete transfer.
  void give_up();

  const PageCounts& counts() const { return counts_; }

 private:
  void write(const BulkHeader& header, std::span<const std::byte> contents);

  kj::AsyncOutputStream& out_;
  Wait wait_;
  std::vector<std::byte> buffer_;
  PageCounts counts_;
};

}  // namespace om
