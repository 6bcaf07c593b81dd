// SPDX-License-Identifier: Apache-2.0
//
// /proc/PID/mem, pagemap and smaps of the process itself, opened after the move in every way there is, show
// the memory that the program has now; what is written through mem is there.
// om-points: moves
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

static char* page;

static void see(int fd, int round) {
  OM_CHECK(fd >= 0);
  char text[32] = {}, expected[32];
  snprintf(expected, sizeof expected, "written in round %d", round);
  const auto at = static_cast<off_t>(reinterpret_cast<uintptr_t>(page));
  OM_CHECK_EQ(pread(fd, text, sizeof text, at), sizeof text);
  OM_CHECK_EQ(text, static_cast<const char*>(expected));
  close(fd);
}

static int by_openat2(const char* path) {
  uint64_t how[3] = {O_RDONLY, 0, 0};
  return static_cast<int>(syscall(SYS_openat2, AT_FDCWD, path, how, sizeof how));
}

int main() {
  void* map =
      OM_SYS(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  page = static_cast<char*>(map);
  char path[64];
  const int moves = om_test_moves() > 0 ? om_test_moves() : 1;
  for (int round = 0; round < moves; ++round) {
    om_test_ready();
    om_test_wait_moved();
    snprintf(page, 4096, "written in round %d", round);
    switch (round % 4) {
      case 0: {
        see(open("/proc/self/mem", O_RDONLY), round);
        int dir = OM_SYS(open("/proc/thread-self", O_PATH | O_DIRECTORY));
        see(openat(dir, "mem", O_RDONLY), round);
        close(dir);
        break;
      }
      case 1: {
        snprintf(path, sizeof path, "/proc/%d/task/%d/mem", getpid(), gettid());
        see(by_openat2(path), round);
        break;
      }
      case 2:
        snprintf(path, sizeof path, "/proc/%d/mem", getpid());
        see(static_cast<int>(syscall(SYS_open, path, O_RDONLY)), round);
        break;
      default: {
        // The page is there, by what pagemap says of it.
        int fd = OM_SYS(open("/proc/self/pagemap", O_RDONLY));
        uint64_t entry = 0;
        OM_CHECK_EQ(
            pread(fd, &entry, 8, static_cast<off_t>(reinterpret_cast<uintptr_t>(page) / 4096 * 8)),
            8);
        OM_CHECK((entry >> 63 & 1) == 1 || (entry >> 62 & 1) == 1);
        close(fd);
      }
    }
  }
  int mem = OM_SYS(open("/proc/self/mem", O_RDWR));
  OM_CHECK_EQ(pwrite(mem, "through", 8, static_cast<off_t>(reinterpret_cast<uintptr_t>(page))), 8);
  OM_CHECK_EQ(static_cast<const char*>(page), "through");
  char other[16] = {};
  iovec local = {other, 8}, remote = {page, 8};
  const ssize_t got = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
  if (got != -1 || errno != ENOSYS) {
    OM_CHECK_EQ(got, 8);
    OM_CHECK_EQ(static_cast<const char*>(other), "through");
  }
  FILE* smaps = fopen("/proc/self/smaps", "r");
  OM_CHECK(smaps != nullptr);
  // The mapping is one page that has been written to.
  char line[512];
  bool inside = false;
  long resident = -1;
  while (fgets(line, sizeof line, smaps) != nullptr) {
    unsigned long lo, hi;
    if (sscanf(line, "%lx-%lx ", &lo, &hi) == 2) {
      inside = lo <= reinterpret_cast<uintptr_t>(page) && reinterpret_cast<uintptr_t>(page) < hi;
    } else if (inside) {
      sscanf(line, "Rss: %ld", &resident);
    }
  }
  fclose(smaps);
  OM_CHECK(resident >= 4);
  // Files of other processes, and other files of this one, are what they always are.
  int status = OM_SYS(open("/proc/self/status", O_RDONLY));
  OM_CHECK(read(status, line, sizeof line) > 100);
  OM_CHECK(memcmp(line, "Name:\t", 6) == 0);
  OM_CHECK_ERRNO(open("/proc/self/no_such_file", O_RDONLY), ENOENT);
}
