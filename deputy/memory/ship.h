// SPDX-License-Identifier: Apache-2.0
//
// Pages out, as frames of common/image/bulk.h: whole pages that are not zero, up to a MiB together. Top level: waits
// for the connection.
#pragma once

#include <kj/async-io.h>
#include <stdint.h>

#include <cstddef>
#include <span>
#include <vector>

#include "common/image/bulk.h"
#include "common/proc/process_memory.h"
#include "deputy/memory/address_space.h"
#include "deputy/memory/objects.h"

namespace om::deputy {

class PageSender {
 public:
  PageSender(kj::AsyncIoContext& io, kj::AsyncOutputStream& out)
      : io_(io), out_(out), buffer_(kBulkMaxBytes) {}

  // [lo, hi) of the process as far as it is readable.
  void range(const ProcessMemory& memory, uint64_t lo, uint64_t hi);
  void image(uint64_t address, const std::vector<std::byte>& bytes);
  // What the caller has put into buffer(), for `address`: whole pages.
  std::span<std::byte> buffer() { return buffer_; }
  void pages(uint64_t address, size_t bytes);
  void end();

  uint64_t frames_ = 0, pages_ = 0, bytes_ = 0, wire_ = 0;

 private:
  kj::AsyncIoContext& io_;
  kj::AsyncOutputStream& out_;
  std::vector<std::byte> buffer_;
};

struct Shipped {
  uint64_t frames = 0, pages = 0, bytes = 0, wire = 0;
};

// Everything that the body needs of the address space.
Verdict<Shipped> ship_pages(kj::AsyncIoContext& io, kj::AsyncOutputStream& out,
                            const HomeSide& home, const AddressSpace& space,
                            MemoryObjects& objects);

}  // namespace om::deputy
