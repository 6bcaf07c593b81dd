// SPDX-License-Identifier: Apache-2.0
//
// A thread that is in the middle of a restartable sequence (rseq) when the process moves goes on at the abort handler
// of the sequence, as after every preemption: what it has read of its CPU is out of date.
// om-points: each
#include "test/lib/om_test.h"

#include <stddef.h>
#include <sys/rseq.h>

#include <atomic>

static std::atomic<unsigned> g_inside{0}, g_done{0};

static struct rseq* own_area() {
  return reinterpret_cast<struct rseq*>(static_cast<char*>(__builtin_thread_pointer()) +
                                        __rseq_offset);
}

enum End { kDone, kAborted, kForgotten };

// Counts in a sequence until told to end, or until the kernel takes the thread for being outside of it.
static End __attribute__((noinline)) run_sequence(struct rseq* area) {
  asm goto(
      ".pushsection .data.rel.ro.sequence, \"aw\"\n"
      "        .balign 32\n"
      "3:      .long 0, 0\n"
      "        .quad 1f, 2f - 1f, 4f\n"
      "        .popsection\n"
      "        lea 3b(%%rip), %%rax\n"
      "        mov %%rax, 8(%0)\n"
      "1:      incl (%1)\n"
      "        cmp %%rax, 8(%0)\n"
      "        jne %l[forgotten]\n"
      "        cmpl $0, (%2)\n"
      "        je 1b\n"
      "2:\n"
      ".pushsection .text.sequence_abort, \"ax\"\n"
      "        .byte 0x0f, 0xb9, 0x3d\n"
      "        .long %c3\n"
      "4:      jmp %l[aborted]\n"
      "        .popsection\n"
      :
      : "r"(area), "r"(&g_inside), "r"(&g_done), "i"(RSEQ_SIG)
      : "rax", "memory", "cc"
      : aborted, forgotten);
  return kDone;
aborted:
  return kAborted;
forgotten:
  return kForgotten;
}

int main() {
  static_assert(offsetof(struct rseq, rseq_cs) == 8);
  if (__rseq_size == 0) om_test_skip("no restartable sequences");
  End end = kAborted;
  OmThread other([&] {
    while (end == kAborted) end = run_sequence(own_area());
  });
  while (g_inside < 1000) continue;
  for (int i = 0; i < om_test_moves() + 1; i++) {
    om_test_ready();
    om_test_wait_moved();
  }
  g_done = 1;
  other.join();
  OM_CHECK_EQ(end, kDone);
}
