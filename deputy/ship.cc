// SPDX-License-Identifier: Apache-2.0
//
// Pages out and in. Out: everything that a region holds and that is not zero (a body's fresh memory is). Of a
// private file mapping all of it, because the other node has no file. In: see homecoming.cc.
#include <string.h>
#include <sys/mman.h>

#include <algorithm>

#include "common/bulk.h"
#include "common/proc/pagemap.h"
#include "common/proc/process.h"
#include "deputy/mover.h"

namespace om::deputy {
namespace {

constexpr uint64_t kPiece = kBulkMaxBytes;

bool is_zero(const std::byte* page) {
  static constexpr std::byte kZeros[kPageSize] = {};
  return memcmp(page, kZeros, kPageSize) == 0;
}

class Sender {
 public:
  Sender(kj::AsyncIoContext& io, kj::AsyncOutputStream& out)
      : io_(io), out_(out), buffer_(kPiece) {}

  // [lo, hi) of the process as far as it is readable.
  void range(const ProcessMemory& memory, uint64_t lo, uint64_t hi) {
    while (lo < hi) {
      const uint64_t want = std::min(kPiece, hi - lo);
      const size_t got = memory.read_some(lo, std::span(buffer_).first(want));
      const size_t whole = got & ~(kPageSize - 1);
      pages(lo, whole);
      // A page that cannot be read (beyond the end of a file, a guard page) has no contents to send.
      lo += whole < want ? whole + kPageSize : whole;
    }
  }
  void image(uint64_t address, const std::vector<std::byte>& bytes) {
    memcpy(buffer_.data(), bytes.data(), bytes.size());
    pages(address, bytes.size());
  }
  void end() {
    const BulkHeader h{kBulkEnd, 0, frames_};
    out_.write(&h, sizeof h).wait(io_.waitScope);
    wire_ += sizeof h;
  }

  uint64_t frames_ = 0, pages_ = 0, bytes_ = 0, wire_ = 0;

 private:
  // Runs of pages that are not zero, straight from the buffer.
  void pages(uint64_t address, size_t bytes) {
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

  kj::AsyncIoContext& io_;
  kj::AsyncOutputStream& out_;
  std::vector<std::byte> buffer_;
};

}  // namespace

Verdict<Mover::Shipped> Mover::ship_pages() {
  Sender sender(io_, *bulk_);
  auto pagemap = OM_MUST(proc::Pagemap::open(proc::memory_tid(pid_)));
  for (const auto& r : regions_) {
    if (r.kind == 2) continue;
    if (r.file || r.shared) {
      sender.range(target_->memory, r.lo, r.hi);
      continue;
    }
    const uint64_t lo = r.kind == 1 ? stack_start(r.hi) : r.lo;
    for (const auto& run : OM_MUST(pagemap.runs(lo, r.hi))) {
      if (!run.guard) sender.range(target_->memory, run.start, run.end);
    }
  }
  if (!vdso_image_.empty()) sender.image(vdso_hi_ - vdso_image_.size(), vdso_image_);
  sender.end();
  return Shipped{sender.frames_, sender.pages_, sender.bytes_, sender.wire_};
}

// Where the stack mapping that ends at `hi` begins now.
uint64_t Mover::stack_start(uint64_t hi) const {
  for (const auto& m : target_->maps) {
    if (m.kind == proc::MapKind::kStack && m.end == hi) return m.start;
  }
  return hi;
}

}  // namespace om::deputy
