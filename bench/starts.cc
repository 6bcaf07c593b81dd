// SPDX-License-Identifier: Apache-2.0
//
// Starts a program COUNT times, one after the other, and prints "WALL_NS CPU_NS": the time from the
// first start to the last end, and the user and system CPU time of this process and its children.
// PRELOAD, if not empty, is the children's LD_PRELOAD; this process itself runs without.
//
//   starts COUNT PRELOAD PROGRAM [ARGUMENT...]
#include <errno.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <string>
#include <vector>

extern char** environ;

namespace {

int64_t wall_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * int64_t{1000000000} + now.tv_nsec;
}

int64_t used_ns(int who) {
  rusage usage;
  getrusage(who, &usage);
  return ((usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * int64_t{1000000} +
          usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) *
         1000;
}

int64_t cpu_ns() { return used_ns(RUSAGE_SELF) + used_ns(RUSAGE_CHILDREN); }

bool start_once(char** command, char** environment) {
  pid_t child;
  int error = posix_spawn(&child, command[0], nullptr, nullptr, command, environment);
  if (error != 0) {
    fprintf(stderr, "starts: %s: %s\n", command[0], strerror(error));
    return false;
  }
  int status;
  if (waitpid(child, &status, 0) != child || status != 0) {
    fprintf(stderr, "starts: %s: wait status %d\n", command[0], status);
    return false;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  const long count = argc >= 4 ? atol(argv[1]) : 0;
  if (count < 1) {
    fprintf(stderr, "usage: starts COUNT PRELOAD PROGRAM [ARGUMENT...]\n");
    return 2;
  }
  std::string preload = std::string("LD_PRELOAD=") + argv[2];
  std::vector<char*> environment;
  for (char** item = environ; *item != nullptr; ++item) {
    if (strncmp(*item, "LD_PRELOAD=", 11) != 0) environment.push_back(*item);
  }
  if (argv[2][0] != '\0') environment.push_back(preload.data());
  environment.push_back(nullptr);
  const int64_t wall = wall_ns(), cpu = cpu_ns();
  for (long i = 0; i < count; ++i) {
    if (!start_once(argv + 3, environment.data())) return 1;
  }
  const int64_t end = wall_ns();
  printf("%lld %lld\n", static_cast<long long>(end - wall), static_cast<long long>(cpu_ns() - cpu));
  return 0;
}
