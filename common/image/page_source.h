// SPDX-License-Identifier: Apache-2.0
//
// Reads pages that PageSink has written from a byte stream: a connection (kj::AsyncIoStream) or a file (file_stream.h).
#pragma once

#include <kj/async-io.h>
#include <stdint.h>

#include <cstddef>
#include <optional>
#include <span>

#include "common/image/bulk.h"
#include "common/image/expected_pages.h"
#include "common/image/page_sink.h"

namespace om {

class PageSource {
 public:
  // `contents` is empty if all of it is zero, and valid until the next call.
  struct Frame {
    uint64_t address;
    uint32_t bytes;
    std::span<const std::byte> contents;
  };
  using Next = Verdict<std::optional<Frame>>;

  PageSource(kj::AsyncInputStream& in, ExpectedPages expected)
      : in_(in), expected_(std::move(expected)), buffer_(kj::heapArray<std::byte>(kBulkMaxBytes)) {}

  // The next frame, checked before its contents are read; none at the end mark. Refusals: those of ExpectedPages::take.
  // A KJ exception if the bytes run out.
  kj::Promise<Next> next();
  // Whether every frame that the sender counted has arrived.
  bool complete() const { return expected_.complete(); }
  // What has arrived.
  const PageCounts& counts() const { return counts_; }

 private:
  kj::Promise<Next> judge();

  kj::AsyncInputStream& in_;
  ExpectedPages expected_;
  BulkHeader header_{};
  kj::Array<std::byte> buffer_;  // as far as it is not used it takes no memory
  PageCounts counts_;
};

}  // namespace om
