// SPDX-License-Identifier: Apache-2.0
//
// common/image: pages written by a PageSink and read by a PageSource, over a file and over a connection; and which
// frames are accepted.
#include <doctest/doctest.h>
#include <kj/async-io.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <map>

#include "common/image/expected_pages.h"
#include "common/image/file_stream.h"
#include "common/image/page_sink.h"
#include "common/image/page_source.h"
#include "libom/abi/layout.h"

namespace om {
namespace {

using Place = ExpectedPages::Place;
using Order = ExpectedPages::Order;

constexpr ExpectedPages::Time kNow{};

// Pages by address: their first byte.
using Memory = std::map<uint64_t, std::byte>;

// Ten pages, of which 2 to 4 are zero.
std::vector<std::byte> ten_pages() {
  std::vector<std::byte> contents(10 * kPageSize);
  for (size_t i = 0; i < 10; i++) {
    if (i < 2 || i > 4) contents[i * kPageSize] = std::byte{static_cast<uint8_t>(i + 1)};
  }
  return contents;
}

void write_all(PageSink& sink) {
  sink.pages(0x10000, ten_pages());
  sink.pages(0x50000, ten_pages(), true);
  sink.zeros(0x100000, 0x100000 + 3 * uint64_t{kBulkMaxBytes} - kPageSize);
  sink.end();
}

std::vector<Place> all_places() {
  return {{0x10000, 0x1a000}, {0x50000, 0x5a000, true}, {0x100000, 0x800000, true}};
}

// Everything that arrives; empty if a frame is refused.
Memory read_all(PageSource& source, kj::WaitScope& scope, uint64_t& zeros) {
  Memory got;
  for (;;) {
    auto next = source.next().wait(scope);
    if (!next.ok()) return {};
    if (!*next) return got;
    const PageSource::Frame& frame = **next;
    if (frame.contents.empty()) zeros += frame.bytes / kPageSize;
    for (size_t at = 0; at < frame.contents.size(); at += kPageSize)
      got[frame.address + at] = frame.contents[at];
  }
}

void check_all(PageSource& source, kj::WaitScope& scope, const PageCounts& sent) {
  uint64_t zeros = 0;
  const Memory got = read_all(source, scope, zeros);
  CHECK(got.size() == 14);
  for (uint64_t lo : {0x10000, 0x50000}) {
    for (uint64_t i : {0, 1, 5, 6, 7, 8, 9}) {
      const auto page = got.find(lo + i * kPageSize);
      CHECK((page != got.end() && page->second == std::byte{static_cast<uint8_t>(i + 1)}));
    }
  }
  CHECK(zeros == 3 + 3 * kBulkMaxBytes / kPageSize - 1);
  CHECK(source.complete());
  CHECK((source.counts().pages == sent.pages && sent.pages == 14));
  CHECK((source.counts().wire == sent.wire && source.counts().frames == sent.frames));
}

TEST_CASE("pages go to a file and come back") {
  auto io = kj::setupAsyncIo();
  UniqueFd fd(::memfd_create("pages", MFD_CLOEXEC));
  REQUIRE(fd.valid());
  FileOutput out{UniqueFd(::dup(fd.get()))};
  PageSink sink(out, [&](kj::Promise<void>&& written) { written.wait(io.waitScope); });
  write_all(sink);
  REQUIRE(::lseek(fd.get(), 0, SEEK_SET) == 0);
  FileInput in{std::move(fd)};
  PageSource source(in, {all_places(), Order::kOnce, std::chrono::steady_clock::now()});
  check_all(source, io.waitScope, sink.counts());
}

TEST_CASE("pages go over a connection") {
  auto io = kj::setupAsyncIo();
  auto pipe = io.provider->newTwoWayPipe();
  PageSink sink(*pipe.ends[0], [&](kj::Promise<void>&& written) { written.wait(io.waitScope); });
  write_all(sink);  // less than a socket holds
  PageSource source(*pipe.ends[1], {all_places(), Order::kAny, kNow});
  check_all(source, io.waitScope, sink.counts());
}

TEST_CASE("a file that ends too early is no whole image") {
  auto io = kj::setupAsyncIo();
  UniqueFd fd(::memfd_create("pages", MFD_CLOEXEC));
  FileOutput out{UniqueFd(::dup(fd.get()))};
  PageSink sink(out, [&](kj::Promise<void>&& written) { written.wait(io.waitScope); });
  sink.pages(0x10000, ten_pages());
  REQUIRE(::lseek(fd.get(), 0, SEEK_SET) == 0);
  FileInput in{std::move(fd)};
  PageSource source(in, {all_places(), Order::kAny, kNow});
  CHECK(source.next().wait(io.waitScope).ok());
  CHECK(source.next().wait(io.waitScope).ok());
  CHECK_THROWS(source.next().wait(io.waitScope));
}

TEST_CASE("a sender that gives up has not sent everything") {
  auto io = kj::setupAsyncIo();
  auto pipe = io.provider->newTwoWayPipe();
  PageSink sink(*pipe.ends[0], [&](kj::Promise<void>&& written) { written.wait(io.waitScope); });
  sink.pages(0x10000, ten_pages());
  sink.give_up();
  PageSource source(*pipe.ends[1], {all_places(), Order::kAny, kNow});
  uint64_t zeros = 0;
  CHECK(read_all(source, io.waitScope, zeros).size() == 7);
  CHECK(!source.complete());
}

bool takes(ExpectedPages& expected, uint32_t kind, uint64_t address, uint32_t pages) {
  const auto taken = expected.take({kind, pages * static_cast<uint32_t>(kPageSize), address}, kNow);
  return taken.ok() && *taken;
}

TEST_CASE("frames lie in places, and may fill neighbours") {
  ExpectedPages expected({{0x12000, 0x14000}, {0x10000, 0x12000, true}}, Order::kAny, kNow);
  CHECK(takes(expected, kBulkData, 0x10000, 4));
  CHECK(takes(expected, kBulkData, 0x10000, 1));  // again
  CHECK(takes(expected, kBulkZero, 0x10000, 2));
  CHECK(!takes(expected, kBulkZero, 0x11000, 2));
  CHECK(!takes(expected, kBulkData, 0x10000, 5));
  CHECK(!takes(expected, kBulkData, 0xf000, 2));
  CHECK(!takes(expected, kBulkData, 0x10008, 1));
  CHECK(!takes(expected, kBulkData, 0x10000, 0));
  CHECK(!takes(expected, 7, 0x10000, 1));
  CHECK(!expected.take({kBulkData, 100, 0x10000}, kNow).ok());
  CHECK(!expected.take({kBulkData, 2 * kBulkMaxBytes, 0x10000}, kNow).ok());
  CHECK(!expected.take({kBulkData, kPageSize, UINT64_MAX - kPageSize + 1}, kNow).ok());
}

TEST_CASE("on the way home every page comes once, in order and in time") {
  const std::vector<Place> places{{0x10000, 0x20000}};
  ExpectedPages expected(places, Order::kOnce, kNow);
  CHECK(takes(expected, kBulkData, 0x10000, 2));
  CHECK(takes(expected, kBulkData, 0x13000, 1));
  CHECK(!takes(expected, kBulkData, 0x12000, 1));
  CHECK(!takes(expected, kBulkData, 0x13000, 1));

  ExpectedPages slow(places, Order::kOnce, kNow);
  const auto late = slow.take({kBulkData, kPageSize, 0x10000}, kNow + std::chrono::seconds(62));
  REQUIRE(!late.ok());
  CHECK(late.error().code == ReasonCode::kTargetUnreachable);
}

}  // namespace
}  // namespace om
