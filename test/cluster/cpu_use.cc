// SPDX-License-Identifier: Apache-2.0
//
// Says, for each line that it reads, on which CPU it is, as the C library, the kernel and the area of restartable
// sequences have it, in the first thread and in a new one; and counts in per-CPU counters meanwhile, in sequences as
// librseq makes them. At the end: how often it has counted, and the sum of the counters.
//
// LISTED: the sequences stand in the section __rseq_cs, as those of librseq do. Without it they are not seen, and there
// is a fallback for a CPU that is not known.
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#ifdef LISTED
#define SECTION "__rseq_cs, \"aw\""
#else
#define SECTION ".data.rel.ro.sequences, \"aw\""
#endif

namespace {

constexpr int kCpus = 1024;
struct alignas(64) Counter {
  intptr_t n;
};
Counter g_counters[kCpus];
std::atomic<uint64_t> g_without{0}, g_counted{0};
std::atomic<bool> g_end{false};

struct rseq* own_area() {
  return reinterpret_cast<struct rseq*>(static_cast<char*>(__builtin_thread_pointer()) +
                                        __rseq_offset);
}

// Adds 1 to the counter if the thread is on `cpu` and stays there so long.
bool add_on(struct rseq* area, uint32_t cpu, intptr_t* counter) {
  asm goto(".pushsection " SECTION
           "\n"
           "        .balign 32\n"
           "3:      .long 0, 0\n"
           "        .quad 1f, 2f - 1f, 4f\n"
           "        .popsection\n"
           "        lea 3b(%%rip), %%rax\n"
           "        mov %%rax, 8(%0)\n"
           "1:      cmp %1, 4(%0)\n"
           "        jnz 4f\n"
           "        addq $1, (%2)\n"
           "2:\n"
           ".pushsection .text.sequence_abort, \"ax\"\n"
           "        .byte 0x0f, 0xb9, 0x3d\n"
           "        .long %c3\n"
           "4:      jmp %l[again]\n"
           "        .popsection\n"
           :
           : "r"(area), "r"(cpu), "r"(counter), "i"(RSEQ_SIG)
           : "rax", "memory", "cc"
           : again);
  return true;
again:
  return false;
}

void count() {
  struct rseq* const area = own_area();
  auto* const seen = reinterpret_cast<volatile struct rseq*>(area);
  while (!g_end) {
    const auto cpu = seen->cpu_id;
    if (static_cast<int32_t>(cpu) < 0) {
      g_without++;
      g_counted++;
      continue;
    }
    if (cpu < kCpus && add_on(area, cpu, &g_counters[cpu].n)) g_counted++;
  }
}

void tell(const char* who) {
  int most = -1;
  for (int i = 0; i < 2000; i++) {
    unsigned vdso = ~0u, kernel = ~0u, node = ~0u;
    getcpu(&vdso, &node);
    syscall(SYS_getcpu, &kernel, nullptr, nullptr);
    for (int cpu : {static_cast<int>(vdso), static_cast<int>(kernel), sched_getcpu()})
      most = cpu > most || cpu < 0 ? cpu : most;
    if (i % 16 == 0) sched_yield();
  }
  const auto id = static_cast<int32_t>(reinterpret_cast<volatile struct rseq*>(own_area())->cpu_id);
  printf("%s %d %d\n", who, most, id);
}

}  // namespace

int main() {
  std::vector<std::thread> counting;
  for (int i = 0; i < 3; i++) counting.emplace_back(count);
  printf("ready\n");
  fflush(stdout);
  char line[64];
  while (fgets(line, sizeof line, stdin) != nullptr) {
    tell("first");
    std::thread([] { tell("new"); }).join();
    fflush(stdout);
  }
  g_end = true;
  for (auto& thread : counting) thread.join();
  uint64_t sum = g_without;
  for (const Counter& counter : g_counters) sum += static_cast<uint64_t>(counter.n);
  printf("%s %d\n", sum == g_counted ? "right" : "wrong", g_without > 0);
}
