// SPDX-License-Identifier: Apache-2.0
//
// dies HOW: a program with three threads and known memory contents, for core_dump_test.py. It prints where things are,
// waits for the file "go" (by then it has been moved), changes its memory, says "there", and dies by HOW: fault, abort,
// raise; or waits for a signal from outside while it computes, reads or polls.
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <thread>

namespace {

constexpr size_t kBytes = 100000;
volatile bool g_on = true;
uint8_t* g_heap;
int g_pipe[2];

}  // namespace

// Not inlined and with distinct names: the test looks for them in the stacks.
extern "C" {

[[gnu::noinline]] void thread_that_computes() {
  while (g_on) {
  }
}

[[gnu::noinline]] void thread_that_reads() {
  char byte;
  (void)!read(g_pipe[0], &byte, 1);
  _exit(3);
}

[[gnu::noinline]] void innermost(const char* how) {
  volatile uint64_t marker[4] = {0x6d61726b6d61726b, 0x1122334455667788, 0x6d61726b6d61726b,
                                 kBytes};
  (void)!write(STDOUT_FILENO, "there\n", 6);
  if (strcmp(how, "fault") == 0) *reinterpret_cast<volatile int*>(marker[3] - kBytes + 16) = 1;
  if (strcmp(how, "abort") == 0) abort();
  if (strcmp(how, "raise") == 0) raise(SIGQUIT);
  if (strcmp(how, "compute") == 0) thread_that_computes();
  if (strcmp(how, "read") == 0) thread_that_reads();
  if (strcmp(how, "poll") == 0) {
    epoll_event event;
    const int n = epoll_wait(epoll_create1(0), &event, 1, -1);
    dprintf(STDOUT_FILENO, "epoll_wait answered %d\n", n);
  }
  g_on = marker[1] == 0;
}

[[gnu::noinline]] void outer(const char* how) {
  innermost(how);
  dprintf(STDOUT_FILENO, "went on\n");
}
}

int main(int argc, char** argv) {
  if (argc != 2 || pipe(g_pipe) != 0) return 2;
  g_heap = static_cast<uint8_t*>(malloc(kBytes));
  memset(g_heap, 'a', kBytes);
  std::thread computes(thread_that_computes), reads(thread_that_reads);
  printf("heap %p\n", static_cast<void*>(g_heap));
  fflush(stdout);
  while (access("go", F_OK) != 0) usleep(2000);
  memset(g_heap, 'b', kBytes);
  outer(argv[1]);
  return 1;
}
