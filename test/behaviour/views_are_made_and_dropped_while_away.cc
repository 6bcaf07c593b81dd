// SPDX-License-Identifier: Apache-2.0
//
// A pool of memory in a memfd, parts of which are mapped at several places, dropped and mapped elsewhere while the
// program is away, as a garbage collector does (ZGC): all places show one memory. It stays away meanwhile.
// om-points: 2
// om-stays: away
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <sys/mman.h>

static constexpr size_t kPart = 2 << 20, kParts = 64, kPool = kParts * kPart;
static int g_pool;

static volatile uint64_t* reserve() {
  void* at = mmap(nullptr, kPool, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  OM_CHECK(at != MAP_FAILED);
  return static_cast<uint64_t*>(at);
}

static volatile uint64_t* show(volatile uint64_t* place, size_t slot, size_t part) {
  auto* at = const_cast<uint64_t*>(place) + slot * kPart / 8;
  OM_CHECK(mmap(at, kPart, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, g_pool,
                static_cast<off_t>(part * kPart)) == at);
  return at;
}

static void hide(volatile uint64_t* at) {
  OM_CHECK(mmap(const_cast<uint64_t*>(at), kPart, PROT_NONE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == at);
}

int main() {
  g_pool = OM_SYS(memfd_create("pool", MFD_CLOEXEC));
  OM_SYS(ftruncate(g_pool, kPool));
  volatile uint64_t* places[3] = {reserve(), reserve(), reserve()};
  for (size_t p = 0; p < 8; ++p) {
    for (auto* place : places) show(place, p, p)[p] = 100 + p;
  }
  om_test_ready();
  om_test_wait_moved();
  for (size_t p = 0; p < 8; ++p) {
    for (auto* place : places) OM_CHECK_EQ(place[p * kPart / 8 + p], 100 + p);
    places[0][p * kPart / 8] = 200 + p;
    OM_CHECK_EQ(places[2][p * kPart / 8], 200 + p);
  }
  OM_SYS(fallocate(g_pool, 0, 8 * kPart, 8 * kPart));
  for (size_t p = 8; p < 16; ++p) {
    auto *first = show(places[0], p, p), *second = show(places[1], 40 - p, p);
    OM_CHECK_EQ(first[5], 0u);
    first[5] = p;
    OM_CHECK_EQ(second[5], p);
    hide(first);
  }
  hide(places[1]);
  OM_SYS(munmap(const_cast<uint64_t*>(places[2]), kPool));
  OM_SYS(mprotect(const_cast<uint64_t*>(places[0]), kPart, PROT_READ));
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_EQ(show(places[0], 60, 9)[5], 9u);
  uint64_t word = 0;
  for (size_t p = 0; p < 16; ++p) {
    OM_CHECK_EQ(pread(g_pool, &word, 8, static_cast<off_t>(p * kPart + (p < 8 ? 0 : 40))), 8);
    OM_CHECK_EQ(word, p < 8 ? 200 + p : p);
  }
}
