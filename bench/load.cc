// SPDX-License-Identifier: Apache-2.0
//
// The program that `bench home` runs natively and preloaded: one kind of work and nothing else, so that any cost of
// merely loading the library shows. The caller takes user and system CPU time from wait4.
//
//   load syscall|malloc|thread|clock COUNT
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

namespace {

void make_calls(long count) {
  for (long i = 0; i < count; ++i) syscall(SYS_getppid);
}

// Sizes from 16 bytes to 32 KiB, some of them kept for a while.
void allocate(long count) {
  constexpr size_t kKept = 256;
  void* kept[kKept] = {};
  uint32_t random = 1;
  for (long i = 0; i < count; ++i) {
    random = random * 1664525 + 1013904223;
    void*& slot = kept[(random >> 16) % kKept];
    free(slot);
    const size_t size = size_t{16} << ((random >> 8) % 12);
    slot = malloc(size);
    if (slot == nullptr) abort();
    *static_cast<volatile char*>(slot) = 1;
  }
  for (void* block : kept) free(block);
}

void* do_nothing(void* argument) { return argument; }

void start_threads(long count) {
  for (long i = 0; i < count; ++i) {
    pthread_t thread;
    if (pthread_create(&thread, nullptr, do_nothing, nullptr) != 0) abort();
    pthread_join(thread, nullptr);
  }
}

void read_clock(long count) {
  timespec now;
  for (long i = 0; i < count; ++i) clock_gettime(CLOCK_MONOTONIC, &now);
}

}  // namespace

int main(int argc, char** argv) {
  const long count = argc == 3 ? atol(argv[2]) : 0;
  const char* kind = argc == 3 ? argv[1] : "";
  if (count > 0 && strcmp(kind, "syscall") == 0) {
    make_calls(count);
  } else if (count > 0 && strcmp(kind, "malloc") == 0) {
    allocate(count);
  } else if (count > 0 && strcmp(kind, "thread") == 0) {
    start_threads(count);
  } else if (count > 0 && strcmp(kind, "clock") == 0) {
    read_clock(count);
  } else {
    fprintf(stderr, "usage: load syscall|malloc|thread|clock COUNT\n");
    return 2;
  }
  return 0;
}
