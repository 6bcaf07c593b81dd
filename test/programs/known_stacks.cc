// SPDX-License-Identifier: Apache-2.0
//
// Threads whose backtraces are known: one blocked in a read below outer() and middle(), one that computes below
// spin_outer(), one that sleeps in a signal handler on an alternate stack. Prints "ready" when all are there, and
// "done N" after the read has returned N bytes.
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <atomic>

namespace {

std::atomic<int> present{0};
std::atomic<bool> over{false};

#define OM_FRAME __attribute__((noinline, noclone, noipa))

OM_FRAME void spin_inner() {
  present++;
  while (!over.load(std::memory_order_relaxed)) {
  }
}
OM_FRAME void spin_outer() {
  spin_inner();
  asm volatile("");
}
void* spin(void*) {
  spin_outer();
  return nullptr;
}

int gate[2];

OM_FRAME void handler(int) {
  char byte;
  present++;
  if (read(gate[0], &byte, 1) != 1) abort();
}
OM_FRAME void raise_outer() {
  raise(SIGUSR1);
  asm volatile("");
}
void* in_handler(void*) {
  stack_t stack{};
  stack.ss_size = 64 << 10;
  stack.ss_sp = malloc(stack.ss_size);
  sigaltstack(&stack, nullptr);
  raise_outer();
  return nullptr;
}

OM_FRAME long middle() {
  char bytes[16];
  const long n = read(STDIN_FILENO, bytes, sizeof bytes);
  asm volatile("");
  return n;
}
OM_FRAME long outer() {
  const long n = middle();
  asm volatile("");
  return n;
}

}  // namespace

int main() {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_ONSTACK;
  sigaction(SIGUSR1, &action, nullptr);
  if (pipe(gate) != 0) return 1;
  pthread_t threads[2];
  if (pthread_create(&threads[0], nullptr, spin, nullptr) != 0) return 1;
  if (pthread_create(&threads[1], nullptr, in_handler, nullptr) != 0) return 1;
  while (present < 2) usleep(1000);
  puts("ready");
  fflush(stdout);
  const long n = outer();
  over = true;
  if (write(gate[1], "x", 1) != 1) return 1;
  for (pthread_t t : threads) pthread_join(t, nullptr);
  printf("done %ld\n", n);
}
