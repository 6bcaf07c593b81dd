// SPDX-License-Identifier: Apache-2.0
//
// Pages out and in. Out: everything that a region holds and that is not zero (a body's fresh memory is). Of a
// private file mapping all of it, because the other node has no file. In: see restore.h.
#include "deputy/memory/ship.h"

#include <string.h>

#include <algorithm>

#include "common/image/bulk.h"
#include "common/proc/pagemap.h"
#include "common/proc/process.h"

namespace om::deputy {
namespace {

constexpr uint64_t kPiece = kBulkMaxBytes;

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

Verdict<Shipped> ship_pages(kj::AsyncIoContext& io, kj::AsyncOutputStream& out,
                            const HomeSide& home, const AddressSpace& space,
                            MemoryObjects& objects) {
  PageSender sender(io, out);
  auto pagemap = OM_MUST(proc::Pagemap::open(proc::memory_tid(home.pid)));
  for (const auto& r : space.regions()) {
    if (r.kind == MappingKind::RESERVE || r.kind == MappingKind::VIEW) continue;
    if (r.file || r.shared) {
      sender.range(home.target->memory, r.lo, r.hi);
      continue;
    }
    const uint64_t lo = r.kind == MappingKind::STACK ? stack_start(*home.target, r.hi) : r.lo;
    for (const auto& run : OM_MUST(pagemap.runs(lo, r.hi))) {
      if (!run.guard) sender.range(home.target->memory, run.start, run.end);
    }
  }
  OM_STEP(objects.ship(sender));
  if (!space.vdso_image().empty()) sender.image(space.vdso_start(), space.vdso_image());
  sender.end();
  return Shipped{sender.frames_, sender.pages_, sender.bytes_, sender.wire_};
}

}  // namespace om::deputy
