// SPDX-License-Identifier: Apache-2.0
//
// A program that carries out commands, one a line, and answers each with a line: "ok", the name of an errno, or a
// number. For tests that decide when memory or disk is requested.
//
//   map MIB            private memory, not touched           stack MIB         that much stack, each page written
//   touch              writes every page of all maps         write FILE KIB    appends; answers the bytes, then errno
//   check              are they still as written?            unlink FILE
//   end                exit 5
//
// With an argument N it computes instead, without any call that has an effect, in a loop long enough to be moved; it
// ends, with the result on stdout and exit 5, N rounds after a file "go" exists. With a second argument it first uses
// that many MiB, and their contents affect the result.
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace {

constexpr size_t kMiB = size_t{1} << 20, kPage = 4096;

struct Map {
  volatile unsigned char* at;
  size_t bytes;
  unsigned char written;
};
std::vector<Map> g_maps;

void say(const std::string& text) {
  const std::string line = text + "\n";
  if (write(STDOUT_FILENO, line.data(), line.size()) != static_cast<ssize_t>(line.size())) _exit(1);
}

void say_errno() { say(strerrorname_np(errno)); }

void map(size_t mib) {
  void* at = mmap(nullptr, mib * kMiB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) return say_errno();
  g_maps.push_back({static_cast<unsigned char*>(at), mib * kMiB, 0});
  say("ok");
}

void touch() {
  for (Map& m : g_maps) {
    m.written = static_cast<unsigned char>(m.written + 1);
    for (size_t i = 0; i < m.bytes; i += kPage) m.at[i] = m.written;
  }
  say("ok");
}

void check() {
  for (const Map& m : g_maps) {
    for (size_t i = 0; i < m.bytes; i += kPage) {
      if (m.at[i] != m.written) return say("wrong");
    }
  }
  say("ok");
}

[[gnu::noinline]] void use_stack(size_t mib) {
  volatile unsigned char here[kMiB];
  for (size_t i = kMiB; i > 0; i -= kPage) here[i - 1] = 1;
  if (mib > 1) use_stack(mib - 1);
  if (here[kMiB - 1] != 1) say("wrong");  // after the call: not a tail call
}

void append(const char* name, size_t kib) {
  const int fd = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return say_errno();
  const std::vector<char> data(kib * 1024, 'x');
  size_t done = 0;
  ssize_t n = 0;
  while (done < data.size() && (n = write(fd, data.data() + done, data.size() - done)) > 0)
    done += static_cast<size_t>(n);
  say(std::to_string(done) + (n < 0 ? std::string(" ") + strerrorname_np(errno) : ""));
  close(fd);
}

int compute(uint64_t rounds, size_t mib) {
  uint64_t sum = 1;
  if (mib != 0) {
    void* at =
        mmap(nullptr, mib * kMiB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) return 1;
    g_maps.push_back({static_cast<unsigned char*>(at), mib * kMiB, 0});
  }
  say("up");
  // The result must not depend on how long the test takes: what counts starts with the file.
  while (access("go", F_OK) != 0) {
  }
  for (const Map& m : g_maps) {
    for (size_t i = 0; i < m.bytes; i += kPage)
      m.at[i] = static_cast<unsigned char>(m.at[i] + i / kPage);
    for (size_t i = 0; i < m.bytes; i += kPage) sum = sum * 31 + m.at[i];
  }
  for (uint64_t i = 0; i < rounds; ++i) sum = sum * 6364136223846793005u + i;
  say(std::to_string(sum));
  return 5;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc >= 2)
    return compute(strtoull(argv[1], nullptr, 10), argc > 2 ? strtoull(argv[2], nullptr, 10) : 0);
  say("up");
  char line[256];
  // The standard library would read ahead; a line arrives whole from a pipe.
  for (;;) {
    const ssize_t n = read(STDIN_FILENO, line, sizeof line - 1);
    if (n <= 0) return 1;
    line[n] = 0;
    char verb[16] = {}, name[128] = {};
    unsigned long number = 0;
    if (sscanf(line, "write %127s %lu", name, &number) == 2) {
      append(name, number);
    } else if (sscanf(line, "unlink %127s", name) == 1) {
      unlink(name) == 0 ? say("ok") : say_errno();
    } else if (sscanf(line, "%15s %lu", verb, &number) < 1) {
      return 2;
    } else if (strcmp(verb, "map") == 0) {
      map(number);
    } else if (strcmp(verb, "touch") == 0) {
      touch();
    } else if (strcmp(verb, "check") == 0) {
      check();
    } else if (strcmp(verb, "stack") == 0) {
      use_stack(number);
      say("ok");
    } else if (strcmp(verb, "end") == 0) {
      return 5;
    } else {
      return 2;
    }
  }
}
