// SPDX-License-Identifier: Apache-2.0
//
// Writes pages as the frames of bulk.h, to whatever takes bytes. The contents are whole pages; which of them are zero
// is found out here.
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
  uint64_t frames = 0;            // without the end mark
  uint64_t pages = 0, bytes = 0;  // with contents
  uint64_t wire = 0;              // bytes of all that was written
};

class PageSink {
 public:
  // Waits until what is written has been taken, or throws: how, is the caller's affair.
  using Wait = std::function<void(kj::Promise<void>&& written)>;

  PageSink(kj::AsyncOutputStream& out, Wait wait)
      : out_(out), wait_(std::move(wait)), buffer_(kBulkMaxBytes) {}

  // Room for contents: as much of `want` bytes as a frame takes. Valid until the next call.
  std::span<std::byte> buffer(uint64_t want);
  // Whole pages for `address`, in frames with contents. Zero pages are left out, or with `tell_zeros` told as such:
  // where the other end would otherwise show something else. At most kBulkMaxBytes.
  void pages(uint64_t address, std::span<const std::byte> contents, bool tell_zeros = false);
  void zeros(uint64_t lo, uint64_t hi);
  // The end mark: everything has been sent.
  void end();
  // An end mark behind which nobody takes it for everything.
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
