// SPDX-License-Identifier: Apache-2.0
//
// The program of many_moves.py: it needs the same memory, threads and descriptors all the time and
// checks itself until the file "stop" appears. One thread computes without a pause, one passes
// bytes through a pipe, the main thread sleeps in poll and rewrites a file.
//
//   steady
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

namespace {

constexpr size_t kWords = 4 << 20;  // 32 MiB

std::atomic<bool> g_stop{false};

[[noreturn]] void die(const char* what) {
  perror(what);
  _exit(1);
}

// Changes every word in a way that one pass later can be foretold.
void compute(std::vector<uint64_t>& words) {
  for (uint64_t pass = 0; !g_stop; ++pass) {
    for (size_t i = 0; i < words.size(); ++i) {
      if (words[i] != i * 31 + pass) {
        fprintf(stderr, "pass %llu: word %zu is wrong\n", static_cast<unsigned long long>(pass), i);
        _exit(1);
      }
      words[i] = i * 31 + pass + 1;
    }
  }
}

void echo(int in, int out) {
  char c = 0;
  while (read(in, &c, 1) == 1) {
    ++c;
    if (write(out, &c, 1) != 1) die("write");
  }
}

}  // namespace

int main() {
  std::vector<uint64_t> words(kWords);
  for (size_t i = 0; i < words.size(); ++i) words[i] = i * 31;
  int to[2], from[2];
  int file = open("state", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0 || pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0) die("set-up");
  std::thread computer(compute, std::ref(words));
  std::thread echoer(echo, to[0], from[1]);
  uint64_t rounds = 0;
  for (; access("stop", F_OK) != 0; ++rounds) {
    char c = static_cast<char>(rounds), back = 0;
    uint64_t state = 0;
    if (write(to[1], &c, 1) != 1 || read(from[0], &back, 1) != 1) die("pipe");
    if (back != static_cast<char>(c + 1)) die("echo");
    if (rounds > 0 && (pread(file, &state, 8, 0) != 8 || state != rounds - 1)) die("state");
    if (pwrite(file, &rounds, 8, 0) != 8) die("pwrite");
    poll(nullptr, 0, 20);
  }
  g_stop = true;
  close(to[1]);
  computer.join();
  echoer.join();
  printf("%s\n", rounds > 0 ? "sound" : "no round");
  return 0;
}
