// SPDX-License-Identifier: Apache-2.0
//
// Pages out and in. Out: everything that a region holds and that is not zero (a body's fresh memory is). Of a
// private file mapping all of it, because the other node has no file. In: see homecoming.cc.
#include "deputy/memory/ship.h"

#include <string.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>

#include "common/image/bulk.h"
#include "common/proc/pagemap.h"
#include "common/proc/process.h"
#include "deputy/mover.h"

namespace om::deputy {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint64_t kPiece = kBulkMaxBytes;
constexpr auto kPagesArrive = 30 * kj::SECONDS;
constexpr auto kBusySilence = std::chrono::seconds(5);  // pings are answered every second
constexpr auto kLookAround = std::chrono::milliseconds(50);
constexpr auto kBusyLimit = std::chrono::minutes(10);

bool is_zero(const std::byte* page) {
  static constexpr std::byte kZeros[kPageSize] = {};
  return memcmp(page, kZeros, kPageSize) == 0;
}

}  // namespace

void PageSender::range(const ProcessMemory& memory, uint64_t lo, uint64_t hi) {
  while (lo < hi) {
    const uint64_t want = std::min(kPiece, hi - lo);
    const size_t got = memory.read_some(lo, std::span(buffer_).first(want));
    const size_t whole = got & ~(kPageSize - 1);
    pages(lo, whole);
    // A page that cannot be read (beyond the end of a file, a guard page) has no contents to send.
    lo += whole < want ? whole + kPageSize : whole;
  }
}

void PageSender::image(uint64_t address, const std::vector<std::byte>& bytes) {
  memcpy(buffer_.data(), bytes.data(), bytes.size());
  pages(address, bytes.size());
}

void PageSender::end() {
  const BulkHeader h{kBulkEnd, 0, frames_};
  out_.write(&h, sizeof h).wait(io_.waitScope);
  wire_ += sizeof h;
}

// Runs of pages that are not zero, straight from the buffer.
void PageSender::pages(uint64_t address, size_t bytes) {
  size_t at = 0;
  while (at < bytes) {
    if (is_zero(buffer_.data() + at)) {
      at += kPageSize;
      continue;
    }
    size_t end = at + kPageSize;
    while (end < bytes && !is_zero(buffer_.data() + end)) end += kPageSize;
    const BulkHeader h{kBulkData, static_cast<uint32_t>(end - at), address + at};
    const kj::ArrayPtr<const kj::byte> parts[] = {
        kj::arrayPtr(reinterpret_cast<const kj::byte*>(&h), sizeof h),
        kj::arrayPtr(reinterpret_cast<const kj::byte*>(buffer_.data() + at), end - at)};
    out_.write(kj::arrayPtr(parts, 2)).wait(io_.waitScope);
    frames_++;
    pages_ += (end - at) / kPageSize;
    bytes_ += end - at;
    wire_ += end - at + sizeof h;
    at = end;
  }
}

Verdict<Mover::Shipped> Mover::ship_pages() {
  PageSender sender(io_, *bulk_);
  auto pagemap = OM_MUST(proc::Pagemap::open(proc::memory_tid(home_.pid)));
  for (const auto& r : regions_) {
    if (r.kind == kKindReserve || r.kind == kKindView) continue;
    if (r.file || r.shared) {
      sender.range(home_.target->memory, r.lo, r.hi);
      continue;
    }
    const uint64_t lo = r.kind == kKindStack ? stack_start(r.hi) : r.lo;
    for (const auto& run : OM_MUST(pagemap.runs(lo, r.hi))) {
      if (!run.guard) sender.range(home_.target->memory, run.start, run.end);
    }
  }
  OM_STEP(ship_objects(sender));
  if (!vdso_image_.empty()) sender.image(vdso_hi_ - vdso_image_.size(), vdso_image_);
  sender.end();
  return Shipped{sender.frames_, sender.pages_, sender.bytes_, sender.wire_};
}

// A keeper that answers pings is busy looking for pages, and not lost.
void Mover::wait_for_pages(kj::Promise<void> pages) {
  // What has arrived is read without a look at anything else: not the pings, for as long as there is more.
  if (const auto now = Clock::now(); now - looked_around_ > kLookAround) {
    io_.provider->getTimer().afterDelay(0 * kj::SECONDS).wait(io_.waitScope);
    looked_around_ = now;
  }
  auto fork = pages.fork();
  for (const auto start = Clock::now();;) {
    bool late = false;
    auto limit = io_.provider->getTimer().afterDelay(kPagesArrive).then([&late] { late = true; });
    fork.addBranch().exclusiveJoin(kj::mv(limit)).wait(io_.waitScope);
    if (!late) return;
    const auto now = Clock::now();
    if (keeper_ == nullptr || now - keeper_heard_ > kBusySilence || now - start > kBusyLimit)
      kj::throwFatalException(KJ_EXCEPTION(OVERLOADED, "the keeper sends no pages"));
  }
}

// Where the stack mapping that ends at `hi` begins now.
uint64_t Mover::stack_start(uint64_t hi) const {
  for (const auto& m : home_.target->maps) {
    if (m.kind == proc::MapKind::kStack && m.end == hi) return m.start;
  }
  return hi;
}

}  // namespace om::deputy
