// SPDX-License-Identifier: Apache-2.0
//
// Behaves like a server that sets its title: writes zeros over its arguments and its environment. Says "up", waits for
// a line, says "right".
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int, char** argv) {
  char* end = argv[0];
  for (char** entry = environ; *entry != nullptr; entry++) {
    if (*entry > end) end = *entry;
  }
  const size_t bytes = static_cast<size_t>(end - argv[0]) + strlen(end);
  environ = nullptr;
  memset(argv[0], 0, bytes);
  puts("up");
  fflush(stdout);
  if (getchar() == EOF) return 1;
  puts("right");
  return 0;
}
