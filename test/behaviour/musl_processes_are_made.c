// SPDX-License-Identifier: Apache-2.0
//
// Built with another C library: fork, exec and posix_spawn after the moves, and its own start again in the new program.
// om-libc: musl
#include "test/lib/om_test_c.h"

#include <spawn.h>
#include <sys/wait.h>

extern char** environ;

int main(int argc, char** argv) {
  if (argc == 2) {
    printf("%s, environment %d\n", argv[1], getenv("OM_TEST_DIR") != NULL);
    return 7;
  }
  om_test_ready();
  om_test_wait_moved();
  int status = 0;
  const pid_t child = fork();
  if (child == 0) {
    execl(argv[0], argv[0], "executed", (char*)NULL);
    _exit(1);
  }
  OM_CHECK(child > 0 && waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 7);
  char* const arguments[] = {argv[0], "spawned", NULL};
  pid_t other = 0;
  OM_CHECK(posix_spawn(&other, argv[0], NULL, NULL, arguments, environ) == 0);
  OM_CHECK(waitpid(other, &status, 0) == other && WEXITSTATUS(status) == 7);
  puts("both done");
}
