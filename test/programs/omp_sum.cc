// SPDX-License-Identifier: Apache-2.0
//
// OpenMP: parallel loops of every schedule, reductions, critical sections, barriers, tasks and
// nested single regions, in whole numbers, so that the result does not depend on the order. libgomp
// waits with futex system calls of its own (no libc wrapper).
//
//   omp_sum ROUNDS        prints a checksum
#include <omp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <vector>

namespace {

uint64_t mix(uint64_t x) {
  x ^= x >> 31;
  x *= 0x7fb5d329728ea185ull;
  x ^= x >> 27;
  x *= 0x81dadef4bc2dd44dull;
  return x ^ (x >> 33);
}

uint64_t tree(uint64_t node, int depth) {
  if (depth == 0) return mix(node);
  uint64_t left = 0, right = 0;
#pragma omp task shared(left)
  left = tree(node * 2, depth - 1);
#pragma omp task shared(right)
  right = tree(node * 2 + 1, depth - 1);
#pragma omp taskwait
  return left ^ (right * 3);
}

uint64_t one_round(uint64_t round, std::vector<uint64_t>& data) {
  const size_t size = data.size();
  uint64_t sum = 0, taken = 0, from_tasks = 0;
#pragma omp parallel reduction(+ : sum)
  {
#pragma omp for schedule(static)
    for (size_t i = 0; i < size; ++i) data[i] = mix(data[i] + round + i);
#pragma omp for schedule(dynamic, 500)
    for (size_t i = 0; i < size; ++i) sum += data[i] >> (i % 7);
#pragma omp for schedule(guided) nowait
    for (size_t i = 0; i < size; ++i) sum += data[i] & 1;
#pragma omp barrier
#pragma omp critical
    taken += 1;
#pragma omp single
    from_tasks = tree(round + 1, 8);
  }
  return sum + from_tasks + taken;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: omp_sum ROUNDS\n");
    return 2;
  }
  omp_set_dynamic(0);
  omp_set_num_threads(4);
  std::vector<uint64_t> data(100000, 1);
  uint64_t rounds = strtoull(argv[1], nullptr, 10), total = 0;
  for (uint64_t round = 0; round < rounds; ++round) {
    total = mix(total + one_round(round, data));
    if (round % 100 == 0) {
      printf("round %llu: %016llx\n", static_cast<unsigned long long>(round),
             static_cast<unsigned long long>(total));
    }
  }
  printf("checksum %016llx\n", static_cast<unsigned long long>(total));
  return 0;
}
