// SPDX-License-Identifier: Apache-2.0
//
// A program that writes its title over its arguments and its environment, as servers do, moves like any other, and
// shows its title wherever it runs.
#include "test/lib/om_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char kTitle[] = "worker: idle";

int main(int argc, char** argv) {
  char* end = argv[argc - 1] + strlen(argv[argc - 1]) + 1;
  size_t count = 0;
  while (environ[count] != nullptr) count++;
  char** copy = static_cast<char**>(calloc(count + 1, sizeof(char*)));
  for (size_t i = 0; i < count; i++) {
    if (environ[i] > end - 2 && environ[i] < end + 2) end = environ[i] + strlen(environ[i]) + 1;
    copy[i] = strdup(environ[i]);
  }
  environ = copy;
  memset(argv[0], 0, static_cast<size_t>(end - argv[0]));
  strcpy(argv[0], kTitle);

  om_test_ready();
  om_test_wait_moved();
  char line[64] = "";
  FILE* shown = OM_SYS(fopen("/proc/self/cmdline", "r"));
  OM_CHECK(shown != nullptr && fread(line, 1, sizeof kTitle, shown) == sizeof kTitle);
  printf("%s, path %d\n", line, getenv("PATH") != nullptr);
}
