// SPDX-License-Identifier: Apache-2.0
//
// A private file mapping made before the move, split by mprotect and madvise after it, keeps its contents and, back
// or away, its name in /proc/self/maps; pages dropped with MADV_DONTNEED are read from the file again.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <vector>

constexpr size_t kPage = 4096, kPages = 8;

// How many pages of [at, at + kPages) are mapped from "mapped", and with which protections.
static void look(char* at, size_t* named, char protections[kPages + 1]) {
  FILE* maps = fopen("/proc/self/maps", "r");
  OM_CHECK(maps != nullptr);
  char line[600], flags[8], name[512];
  *named = 0;
  while (fgets(line, sizeof line, maps) != nullptr) {
    unsigned long lo, hi;
    name[0] = 0;
    OM_CHECK(sscanf(line, "%lx-%lx %7s %*s %*s %*s %511s", &lo, &hi, flags, name) >= 3);
    for (size_t i = 0; i < kPages; ++i) {
      const auto page = reinterpret_cast<unsigned long>(at + i * kPage);
      if (page < lo || page >= hi) continue;
      protections[i] = flags[1] == 'w' ? 'w' : flags[0];
      if (strstr(name, "/mapped") != nullptr) ++*named;
    }
  }
  protections[kPages] = 0;
  fclose(maps);
}

int main() {
  int fd = OM_SYS(open("mapped", O_RDWR | O_CREAT, 0600));
  std::vector<char> data(kPages * kPage);
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>('a' + i / kPage);
  OM_CHECK_EQ(write(fd, data.data(), data.size()), static_cast<ssize_t>(data.size()));
  void* map = OM_SYS(mmap(nullptr, data.size(), PROT_READ, MAP_PRIVATE, fd, 0));
  char* at = static_cast<char*>(map);
  close(fd);
  om_test_ready();
  om_test_wait_moved();
  OM_SYS(mprotect(at + kPage, kPage, PROT_READ | PROT_WRITE));
  OM_SYS(mprotect(at + 5 * kPage, 2 * kPage, PROT_NONE));
  OM_SYS(madvise(at + 3 * kPage, kPage, MADV_DONTFORK));
  at[kPage] = 'X';
  char protections[kPages + 1];
  size_t named;
  look(at, &named, protections);
  OM_CHECK_EQ(named, kPages);
  OM_CHECK_EQ(static_cast<const char*>(protections), "rwrrr--r");
  OM_SYS(mprotect(at + 5 * kPage, 2 * kPage, PROT_READ));
  for (size_t i = 0; i < kPages; ++i) OM_CHECK_EQ(at[i * kPage + 1], static_cast<char>('a' + i));
  OM_CHECK_EQ(at[kPage], 'X');
  OM_SYS(madvise(at, 2 * kPage, MADV_DONTNEED));
  OM_CHECK_EQ(at[kPage], 'b');
  OM_CHECK_EQ(at[0], 'a');
  at[kPage + 7] = 'Y';
  OM_SYS(mprotect(at, kPages * kPage, PROT_READ));
  look(at, &named, protections);
  OM_CHECK_EQ(named, kPages);
  OM_CHECK_EQ(static_cast<const char*>(protections), "rrrrrrrr");
  OM_CHECK_EQ(at[kPage + 7], 'Y');
  OM_SYS(munmap(at, data.size()));
  OM_SYS(unlink("mapped"));
}
