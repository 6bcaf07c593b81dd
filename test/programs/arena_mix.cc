// SPDX-License-Identifier: Apache-2.0
//
// What a C++ program does all day, with a result that any order of the threads gives: a bounded
// queue with condition variables, exceptions thrown through frames with destructors, thread_local
// state, and allocations of all sizes in several malloc arenas, freed by other threads.
//
//   arena_mix TASKS       prints a checksum
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr size_t kWorkers = 6;
constexpr size_t kQueueLimit = 32;

uint64_t mix(uint64_t x) {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdull;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53ull;
  return x ^ (x >> 33);
}

struct Task {
  uint64_t number;
  std::unique_ptr<std::string> text;  // made by the producer, freed by a worker
};

class Queue {
 public:
  void put(Task task) {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [this] { return tasks_.size() < kQueueLimit; });
    tasks_.push_back(std::move(task));
    filled_.notify_one();
  }
  void close() {
    std::lock_guard lock(mutex_);
    closed_ = true;
    filled_.notify_all();
  }
  bool take(Task* task) {
    std::unique_lock lock(mutex_);
    while (tasks_.empty() && !closed_) filled_.wait_for(lock, std::chrono::milliseconds(20));
    if (tasks_.empty()) return false;
    *task = std::move(tasks_.front());
    tasks_.pop_front();
    room_.notify_one();
    return true;
  }

 private:
  std::mutex mutex_;
  std::condition_variable filled_, room_;
  std::deque<Task> tasks_;
  bool closed_ = false;
};

struct Refused : std::runtime_error {
  Refused(uint64_t n, const std::string& why) : std::runtime_error(why), number(n) {}
  uint64_t number;
};

thread_local std::map<uint64_t, std::string> t_cache;
thread_local uint64_t t_depth = 0;

struct Depth {
  Depth() { ++t_depth; }
  ~Depth() { --t_depth; }
};

uint64_t descend(uint64_t number, uint64_t level) {
  Depth depth;
  std::vector<uint64_t> block(1 + mix(number + level) % 700);
  for (size_t i = 0; i < block.size(); ++i) block[i] = mix(number * 1000003 + level * 101 + i);
  if (level == 0) {
    if (number % 3 == 0) throw Refused(number, "task " + std::to_string(number));
    return block[block.size() / 2];
  }
  uint64_t below = descend(number, level - 1);
  std::sort(block.begin(), block.end());
  return below ^ block[block.size() / 3];
}

uint64_t work(const Task& task) {
  uint64_t result = 0;
  try {
    result = descend(task.number, 6 + task.number % 5);
  } catch (const Refused& refused) {
    result = mix(refused.number) + std::string(refused.what()).size();
  }
  if (t_depth != 0) abort();
  std::string& kept = t_cache[task.number % 97];
  kept = *task.text + std::to_string(result);
  std::unique_ptr<char[]> large(new char[50000 + task.number % 200000]);  // often by mmap
  std::fill_n(large.get(), 50000, static_cast<char>(result));
  return result + kept.size() + static_cast<unsigned char>(large[49999]);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: arena_mix TASKS\n");
    return 2;
  }
  uint64_t tasks = strtoull(argv[1], nullptr, 10);
  Queue queue;
  std::atomic<uint64_t> sum{0}, done{0};
  std::vector<std::thread> workers;
  for (size_t i = 0; i < kWorkers; ++i) {
    workers.emplace_back([&] {
      Task task;
      while (queue.take(&task)) {
        sum += work(task);
        ++done;
      }
    });
  }
  for (uint64_t n = 0; n < tasks; ++n) {
    queue.put(
        {n, std::make_unique<std::string>(1 + mix(n) % 300, static_cast<char>('a' + n % 26))});
    if (n % 5000 == 0) printf("queued %llu\n", static_cast<unsigned long long>(n));
  }
  queue.close();
  for (std::thread& worker : workers) worker.join();
  printf("%llu tasks, checksum %016llx\n", static_cast<unsigned long long>(done.load()),
         static_cast<unsigned long long>(sum.load()));
  return done == tasks ? 0 : 1;
}
