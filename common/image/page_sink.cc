// SPDX-License-Identifier: Apache-2.0
#include "common/image/page_sink.h"

#include <string.h>

#include <algorithm>

#include "libom/abi/layout.h"

namespace om {
namespace {

bool is_zero(const std::byte* page) {
  static constexpr std::byte kZeros[kPageSize] = {};
  return memcmp(page, kZeros, kPageSize) == 0;
}

kj::ArrayPtr<const kj::byte> bytes_of(const std::byte* data, size_t size) {
  return kj::arrayPtr(reinterpret_cast<const kj::byte*>(data), size);
}

}  // namespace

std::span<std::byte> PageSink::buffer(uint64_t want) {
  return std::span(buffer_).first(std::min<uint64_t>(want, buffer_.size()));
}

void PageSink::pages(uint64_t address, std::span<const std::byte> contents, bool tell_zeros) {
  for (size_t at = 0; at < contents.size();) {
    const bool zero = is_zero(contents.data() + at);
    size_t end = at + kPageSize;
    while (end < contents.size() && is_zero(contents.data() + end) == zero) end += kPageSize;
    if (!zero) {
      write({kBulkData, static_cast<uint32_t>(end - at), address + at},
            contents.subspan(at, end - at));
    } else if (tell_zeros) {
      zeros(address + at, address + end);
    }
    at = end;
  }
}

void PageSink::zeros(uint64_t lo, uint64_t hi) {
  while (lo < hi) {
    const auto n = static_cast<uint32_t>(std::min<uint64_t>(hi - lo, kBulkMaxBytes));
    write({kBulkZero, n, lo}, {});
    lo += n;
  }
}

void PageSink::end() { write({kBulkEnd, 0, counts_.frames}, {}); }

void PageSink::give_up() { write({kBulkEnd, 0, UINT64_MAX}, {}); }

void PageSink::write(const BulkHeader& header, std::span<const std::byte> contents) {
  const kj::ArrayPtr<const kj::byte> parts[] = {
      bytes_of(reinterpret_cast<const std::byte*>(&header), sizeof header),
      bytes_of(contents.data(), contents.size())};
  wait_(out_.write(kj::arrayPtr(parts, contents.empty() ? 1 : 2)));
  if (header.kind != kBulkEnd) counts_.frames++;
  counts_.pages += contents.size() / kPageSize;
  counts_.bytes += contents.size();
  counts_.wire += sizeof header + contents.size();
}

}  // namespace om
