// SPDX-License-Identifier: Apache-2.0
//
// Measures itself, at home and away: for every line "KIND COUNT" on stdin it does COUNT operations and prints
// nanoseconds per operation, by its own wall clock. It knows nothing of openMosix; bench/run.py moves it.
//
//   empty    getppid as a raw system call: forwarded while away, the kernel's own at home
//   getpid   while away, the gate answers from a known value
//   yield    sched_yield: runs where the program runs
//   clock    clock_gettime(CLOCK_MONOTONIC) of the C library
//   cpu      integer and floating point arithmetic on 256 KiB
//   fill     makes COUNT MiB of incompressible bytes (once)
//   check    reads and compares those bytes, COUNT times
//   reserve  reserves COUNT TiB of address space without touching it
//   release  gives back what was reserved
//   write    writes COUNT MiB to FILE of the command line, one at a time, from the start
//   read     reads them
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <vector>

namespace {

int64_t now_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * int64_t{1000000000} + now.tv_nsec;
}

std::vector<uint64_t> g_block;

uint64_t next(uint64_t x) {
  x ^= x << 13;
  x ^= x >> 7;
  return x ^ (x << 17);
}

void fill(long mib) {
  g_block.resize(static_cast<size_t>(mib) << 17);
  uint64_t x = 88172645463325252;
  for (uint64_t& word : g_block) word = x = next(x);
}

bool check() {
  uint64_t x = 88172645463325252;
  for (uint64_t word : g_block) {
    x = next(x);
    if (word != x) return false;
  }
  return !g_block.empty();
}

void* g_reserved = MAP_FAILED;
size_t g_reserved_bytes = 0;

bool reserve(long tib) {
  g_reserved_bytes = static_cast<size_t>(tib) << 40;
  g_reserved = mmap(nullptr, g_reserved_bytes, PROT_NONE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return g_reserved != MAP_FAILED;
}

// Touches all of the second-level cache, no system call.
double compute(long rounds) {
  static double field[32768];
  uint64_t x = 1;
  for (long round = 0; round < rounds; ++round) {
    for (double& value : field) {
      x = next(x + 1);
      value = value * 0.999 + static_cast<double>(x >> 40);
    }
  }
  return field[x % 32768];
}

// In pieces of a MiB, like dd bs=1M and other programs that copy a lot.
bool transfer(const char* path, bool writing, long mib) {
  static std::vector<char> piece(1 << 20, 'x');
  const auto size = static_cast<ssize_t>(piece.size());
  const int fd = path == nullptr ? -1 : open(path, writing ? O_WRONLY | O_CREAT : O_RDONLY, 0600);
  bool whole = fd >= 0;
  for (long i = 0; i < mib && whole; ++i)
    whole = (writing ? write(fd, piece.data(), piece.size())
                     : read(fd, piece.data(), piece.size())) == size;
  if (fd >= 0) close(fd);
  return whole;
}

bool run(const char* kind, long count, const char* path) {
  if (strcmp(kind, "empty") == 0) {
    for (long i = 0; i < count; ++i) syscall(SYS_getppid);
  } else if (strcmp(kind, "getpid") == 0) {
    for (long i = 0; i < count; ++i) syscall(SYS_getpid);
  } else if (strcmp(kind, "yield") == 0) {
    for (long i = 0; i < count; ++i) syscall(SYS_sched_yield);
  } else if (strcmp(kind, "clock") == 0) {
    timespec now;
    for (long i = 0; i < count; ++i) clock_gettime(CLOCK_MONOTONIC, &now);
  } else if (strcmp(kind, "cpu") == 0) {
    volatile double sink = compute(count);
    static_cast<void>(sink);
  } else if (strcmp(kind, "fill") == 0) {
    fill(count);
  } else if (strcmp(kind, "check") == 0) {
    for (long i = 0; i < count; ++i) {
      if (!check()) return false;
    }
  } else if (strcmp(kind, "reserve") == 0) {
    return reserve(count);
  } else if (strcmp(kind, "release") == 0) {
    return munmap(g_reserved, g_reserved_bytes) == 0;
  } else if (strcmp(kind, "write") == 0 || strcmp(kind, "read") == 0) {
    return transfer(path, *kind == 'w', count);
  } else {
    return false;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  const char* path = argc == 2 ? argv[1] : nullptr;
  char kind[16];
  long count;
  while (scanf("%15s %ld", kind, &count) == 2 && count > 0) {
    const int64_t start = now_ns();
    if (!run(kind, count, path)) {
      fprintf(stderr, "probe: %s %ld failed\n", kind, count);
      return 1;
    }
    printf("%.3f\n", static_cast<double>(now_ns() - start) / static_cast<double>(count));
    fflush(stdout);
  }
  return 0;
}
