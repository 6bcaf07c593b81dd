// SPDX-License-Identifier: Apache-2.0
//
// Terabytes that are only reserved, inaccessible or not, move out and back; pages here and there in them keep
// their contents, what was given back or never touched is zero.
#include "test/lib/om_test.h"

#include <sys/mman.h>

static constexpr size_t kTiB = size_t{1} << 40, kPage = 4096;
static constexpr int kPieces = 64;

static unsigned char* reserve(size_t bytes, int prot) {
  void* at = mmap(nullptr, bytes, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) om_test_skip("no room for a reservation of terabytes");
  return static_cast<unsigned char*>(at);
}

int main() {
  unsigned char* closed = reserve(8 * kTiB, PROT_NONE);
  unsigned char* open = reserve(kTiB, PROT_READ | PROT_WRITE);
  auto piece = [&](int k) { return closed + 8 * kTiB / kPieces * k; };
  for (int k = 0; k < kPieces; ++k) {
    OM_SYS(mprotect(piece(k), kPage, PROT_READ | PROT_WRITE));
    piece(k)[k] = static_cast<unsigned char>(k + 1);
    open[kTiB / kPieces * k + k] = static_cast<unsigned char>(k + 2);
  }
  for (int k = 0; k < kPieces; k += 3) OM_SYS(madvise(piece(k), kPage, MADV_DONTNEED));
  om_test_ready();
  om_test_wait_moved();
  for (int k = 0; k < kPieces; ++k) {
    OM_CHECK_EQ(piece(k)[k], k % 3 == 0 ? 0 : k + 1);
    OM_CHECK_EQ(open[kTiB / kPieces * k + k], k + 2);
    OM_CHECK_EQ(open[kTiB / kPieces * k + kPage], 0);
  }
  OM_SYS(mprotect(piece(1) + kPage, kPage, PROT_READ | PROT_WRITE));
  OM_CHECK_EQ(piece(1)[kPage], 0);
}
