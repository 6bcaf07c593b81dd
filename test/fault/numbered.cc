// SPDX-License-Identifier: Apache-2.0
//
// The program of the fault tests: everything it does is numbered, so that a lost or repeated call shows. Two processes:
// this one, which is moved, and its child, which stays (the feeder).
//
//   what                              done twice              lost
//   line k to stdout                  line k twice            line k missing
//   read a record from the feeder     -                       the next record has the wrong number
//   add 1 to a semaphore eventfd      count too large         count too small
//   append record k to the file log   log too long            log too short
//   add 1 to the number in "count"    too large               too small
//
// It runs for LINES lines, a few milliseconds each, and at least until the file "stop" exists. A second thread computes
// and passes bytes through a socket pair.
//
//   numbered LINES PAUSE_US
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

namespace {

std::atomic<bool> g_stop{false};

[[noreturn]] void die(const char* what, long got, long want) {
  fprintf(stderr, "numbered: %s: got %ld, want %ld, errno %d\n", what, got, want, errno);
  _exit(1);
}

void expect(const char* what, long got, long want) {
  if (got != want) die(what, got, want);
}

// Sends numbers from 0 on, as fast as they are read.
[[noreturn]] void feed(int out) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (uint64_t k = 0;; ++k) {
    if (write(out, &k, sizeof k) != static_cast<ssize_t>(sizeof k)) _exit(0);
  }
}

void pass_bytes() {
  int pair[2];
  expect("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  uint64_t sum = 0;
  for (uint32_t round = 0; !g_stop; ++round) {
    char out[600], in[600];
    memset(out, static_cast<int>(round), sizeof out);
    const long bytes = 1 + round * 7 % 600;
    expect("send", send(pair[0], out, static_cast<size_t>(bytes), 0), bytes);
    expect("recv", recv(pair[1], in, static_cast<size_t>(bytes), MSG_WAITALL), bytes);
    expect("bytes", memcmp(in, out, static_cast<size_t>(bytes)), 0);
    for (uint32_t i = 0; i < 200000; ++i) sum = sum * 6364136223846793005u + i;
  }
  expect("sum", static_cast<long>(sum & 0), 0);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const long lines = atol(argv[1]);
  const auto pause_us = static_cast<useconds_t>(atol(argv[2]));
  int pipe_ends[2];
  expect("pipe", pipe2(pipe_ends, O_CLOEXEC), 0);
  const pid_t feeder = fork();
  if (feeder == 0) {
    close(pipe_ends[0]);
    close(STDOUT_FILENO);  // the test waits for this output to end
    close(STDERR_FILENO);
    feed(pipe_ends[1]);
  }
  close(pipe_ends[1]);
  const int counter = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  const int log = open("log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const int count = open("count", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (counter < 0 || log < 0 || count < 0) die("open", -1, 0);
  std::thread passer(pass_bytes);
  uint64_t k = 0;
  for (; k < static_cast<uint64_t>(lines) || access("stop", F_OK) != 0; ++k) {
    uint64_t fed = 0, one = 1, n = 0;
    expect("read of the feeder", read(pipe_ends[0], &fed, sizeof fed), sizeof fed);
    expect("number fed", static_cast<long>(fed), static_cast<long>(k));
    expect("eventfd", write(counter, &one, sizeof one), sizeof one);
    expect("log", write(log, &k, sizeof k), sizeof k);
    expect("read of count", pread(count, &n, sizeof n, 0), k == 0 ? 0 : sizeof n);
    ++n;
    expect("write of count", pwrite(count, &n, sizeof n, 0), sizeof n);
    char line[32];
    const int length = snprintf(line, sizeof line, "%llu\n", static_cast<unsigned long long>(k));
    expect("line", write(STDOUT_FILENO, line, static_cast<size_t>(length)), length);
    usleep(pause_us);
  }
  g_stop = true;
  passer.join();
  uint64_t counted = 0, n = 0;
  expect("read of the eventfd", read(counter, &counted, sizeof counted), sizeof counted);
  expect("eventfd's count", static_cast<long>(counted), static_cast<long>(k));
  expect("length of the log", lseek(log, 0, SEEK_END), static_cast<long>(k * sizeof k));
  expect("read of count", pread(count, &n, sizeof n, 0), sizeof n);
  expect("count", static_cast<long>(n), static_cast<long>(k));
  close(pipe_ends[0]);
  kill(feeder, SIGKILL);
  waitpid(feeder, nullptr, 0);
  dprintf(STDOUT_FILENO, "sound\n");
  return 7;
}
