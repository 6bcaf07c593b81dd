// SPDX-License-Identifier: Apache-2.0
//
// Random walks in several threads, which hand over what they found under a mutex: threads, locks
// and condition variables go along when it is moved. The seeds are fixed, so the result is too.
//
//   walkers [THREADS [ROUNDS]]             om run -- ./walkers 4 & om migrate $! n2
#include <stdio.h>
#include <stdlib.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

namespace {

constexpr int kWalks = 2000;
constexpr int kSteps = 1000;

std::mutex g_mutex;
std::condition_variable g_changed;
std::vector<long> g_farthest;  // by round, over all threads
std::vector<int> g_done;       // threads that have finished a round

// The greatest distance from the start in kWalks walks.
long farthest(std::mt19937_64& random) {
  long best = 0;
  for (int walk = 0; walk < kWalks; ++walk) {
    long place = 0;
    for (int step = 0; step < kSteps; ++step) place += (random() & 1) != 0 ? 1 : -1;
    best = std::max(best, labs(place));
  }
  return best;
}

void walk(unsigned seed, size_t rounds) {
  std::mt19937_64 random(seed);
  for (size_t round = 0; round < rounds; ++round) {
    const long found = farthest(random);
    const std::lock_guard<std::mutex> lock(g_mutex);
    g_farthest[round] = std::max(g_farthest[round], found);
    ++g_done[round];
    g_changed.notify_one();
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? atoi(argv[1]) : 4;
  const int rounds = argc > 2 ? atoi(argv[2]) : 200;
  if (threads < 1 || threads > 256 || rounds < 1 || rounds > 1000000) {
    fprintf(stderr, "usage: walkers [THREADS [ROUNDS]]\n");
    return 2;
  }
  g_farthest.resize(static_cast<size_t>(rounds));
  g_done.resize(static_cast<size_t>(rounds));
  std::vector<std::thread> all;
  for (int i = 0; i < threads; ++i) all.emplace_back(walk, i + 1, rounds);
  for (size_t round = 0; round < g_done.size(); ++round) {
    std::unique_lock<std::mutex> lock(g_mutex);
    g_changed.wait(lock, [&] { return g_done[round] == threads; });
    printf("round %zu: %ld\n", round + 1, g_farthest[round]);
    fflush(stdout);
  }
  for (std::thread& thread : all) thread.join();
  return 0;
}
