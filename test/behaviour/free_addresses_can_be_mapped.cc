// SPDX-License-Identifier: Apache-2.0
//
// Wherever no mapping is, one can be made, kept over moves and taken away: all over the address space, whoever else
// would like to have the place.
#include "test/lib/om_test.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vector>

static const uint64_t kStep = uint64_t{1} << 37, kEnd = uint64_t{1} << 47;
static const size_t kBytes = 8192;

struct Range {
  uint64_t lo, hi;
};

static std::vector<Range> mappings() {
  std::vector<Range> all;
  FILE* f = fopen("/proc/self/maps", "re");
  OM_CHECK(f != nullptr);
  char line[512];
  Range r{};
  while (fgets(line, sizeof line, f) != nullptr) {
    if (sscanf(line, "%" SCNx64 "-%" SCNx64, &r.lo, &r.hi) == 2) all.push_back(r);
  }
  fclose(f);
  return all;
}

static std::vector<char*> map_everywhere() {
  const std::vector<Range> taken = mappings();
  std::vector<char*> made;
  for (uint64_t at = kStep; at < kEnd - kStep; at += kStep) {
    bool free = true;
    for (const Range& r : taken) free &= at + kBytes <= r.lo || at >= r.hi;
    if (!free) continue;
    void* p = mmap(reinterpret_cast<void*>(at), kBytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    OM_CHECK(p == reinterpret_cast<void*>(at));
    made.push_back(static_cast<char*>(p));
    *made.back() = static_cast<char>(at >> 37);
  }
  return made;
}

static void take_away(const std::vector<char*>& made) {
  OM_CHECK(made.size() > 100);
  for (char* p : made) {
    OM_CHECK_EQ(*p, static_cast<char>(reinterpret_cast<uint64_t>(p) >> 37));
    OM_CHECK_EQ(munmap(p, kBytes), 0);
  }
}

// More than any buffer for messages has room for.
static void transfer_much() {
  static char out[300000], in[sizeof out];
  memset(out, 'x', sizeof out);
  const int file = memfd_create("much", 0);
  OM_CHECK_EQ(write(file, out, sizeof out), ssize_t{sizeof out});
  OM_CHECK_EQ(pread(file, in, sizeof in, 0), ssize_t{sizeof in});
  OM_CHECK(memcmp(out, in, sizeof in) == 0);
  close(file);
}

int main() {
  const std::vector<char*> before = map_everywhere();
  om_test_ready();
  om_test_wait_moved();
  transfer_much();
  take_away(before);
  take_away(map_everywhere());
}
