// SPDX-License-Identifier: Apache-2.0
//
// Counts primes with a segmented sieve and says after every step how far it is: something to watch
// while it is moved. It knows nothing of openMosix; the same work prints the same lines anywhere.
//
//   primes [STEPS [MILLIONS_A_STEP]]       om run -- ./primes 100 & om migrate $! n2
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <algorithm>
#include <vector>

namespace {

std::vector<uint64_t> primes_up_to(uint64_t limit) {
  std::vector<bool> composite(limit + 1);
  std::vector<uint64_t> primes;
  for (uint64_t n = 2; n <= limit; ++n) {
    if (composite[n]) continue;
    primes.push_back(n);
    for (uint64_t m = n * n; m <= limit; m += n) composite[m] = true;
  }
  return primes;
}

// Primes in [from, to); `small` reaches up to the root of `to`.
uint64_t count_primes(uint64_t from, uint64_t to, const std::vector<uint64_t>& small) {
  std::vector<char> composite(to - from);
  for (uint64_t p : small) {
    for (uint64_t m = std::max(p * p, (from + p - 1) / p * p); m < to; m += p) {
      composite[m - from] = 1;
    }
  }
  return static_cast<uint64_t>(std::count(composite.begin(), composite.end(), 0));
}

}  // namespace

int main(int argc, char** argv) {
  const uint64_t steps = argc > 1 ? strtoull(argv[1], nullptr, 10) : 50;
  const uint64_t size = (argc > 2 ? strtoull(argv[2], nullptr, 10) : 4) * 1000000;
  if (steps == 0 || steps > 100000 || size == 0 || size > 1000000000) {
    fprintf(stderr, "usage: primes [STEPS [MILLIONS_A_STEP]]\n");
    return 2;
  }
  uint64_t root = 1;
  while (root * root < steps * size) ++root;
  const std::vector<uint64_t> small = primes_up_to(root);
  uint64_t count = 0;
  for (uint64_t step = 0; step < steps; ++step) {
    count += count_primes(step == 0 ? 2 : step * size, (step + 1) * size, small);
    printf("%llu of %llu: %llu primes below %llu\n", static_cast<unsigned long long>(step + 1),
           static_cast<unsigned long long>(steps), static_cast<unsigned long long>(count),
           static_cast<unsigned long long>((step + 1) * size));
    fflush(stdout);
  }
  return 0;
}
