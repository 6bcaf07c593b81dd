// SPDX-License-Identifier: Apache-2.0
#include "common/image/page_source.h"

#include <chrono>

#include "libom/abi/layout.h"

namespace om {

kj::Promise<PageSource::Next> PageSource::next() {
  return in_.read(&header_, sizeof header_).then([this] { return judge(); });
}

kj::Promise<PageSource::Next> PageSource::judge() {
  counts_.wire += sizeof header_;
  const Verdict<bool> taken = expected_.take(header_, std::chrono::steady_clock::now());
  if (!taken) return Next(taken.error());
  if (!*taken) return Next(std::nullopt);
  counts_.frames++;
  if (header_.kind == kBulkZero) return Next(Frame{header_.address, header_.bytes, {}});
  return in_.read(buffer_.begin(), header_.bytes).then([this] {
    counts_.pages += header_.bytes / kPageSize;
    counts_.bytes += header_.bytes;
    counts_.wire += header_.bytes;
    return Next(Frame{header_.address, header_.bytes, std::span(buffer_.begin(), header_.bytes)});
  });
}

}  // namespace om
