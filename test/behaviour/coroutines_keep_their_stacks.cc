// SPDX-License-Identifier: Apache-2.0
//
// swapcontext coroutines on heap stacks: a move in one of them, then all of them go on.
#include "test/lib/om_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>

constexpr int kCoroutines = 4;
constexpr size_t kStackBytes = 65536;
static ucontext_t g_main, g_contexts[kCoroutines];
static int g_sums[kCoroutines];

static void body(int index) {
  int local[100];
  for (int i = 0; i < 100; ++i) local[i] = i * (index + 1);
  if (index == 2) {
    om_test_ready();
    om_test_wait_moved();
  }
  for (int step = 0; step < 100; ++step) {
    g_sums[index] += local[step];
    swapcontext(&g_contexts[index], &g_main);
  }
}

static void make(int index) {
  OM_SYS(getcontext(&g_contexts[index]));
  g_contexts[index].uc_stack.ss_sp = malloc(kStackBytes);
  g_contexts[index].uc_stack.ss_size = kStackBytes;
  g_contexts[index].uc_link = &g_main;
  makecontext(&g_contexts[index], reinterpret_cast<void (*)()>(body), 1, index);
}

int main() {
  for (int i = 0; i < kCoroutines; ++i) make(i);
  for (int step = 0; step <= 100; ++step) {
    for (int i = 0; i < kCoroutines; ++i) OM_SYS(swapcontext(&g_main, &g_contexts[i]));
  }
  for (int i = 0; i < kCoroutines; ++i) {
    OM_CHECK_EQ(g_sums[i], 4950 * (i + 1));
    printf("%d\n", g_sums[i]);
  }
}
