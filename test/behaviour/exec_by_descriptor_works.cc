// SPDX-License-Identifier: Apache-2.0
//
// fexecve (execveat with an empty path) after the move runs the program behind a descriptor.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

int main(int argc, char** argv) {
  if (argc == 2) {
    puts(argv[1]);
    return 0;
  }
  int self = OM_SYS(open("/proc/self/exe", O_PATH | O_CLOEXEC));
  om_test_ready();
  om_test_wait_moved();
  char* wrong[] = {argv[0], nullptr};
  OM_CHECK_ERRNO(syscall(SYS_execveat, AT_FDCWD, "none", wrong, environ, 0), ENOENT);
  char name[] = "by descriptor", text[] = "second program";
  char* arguments[] = {name, text, nullptr};
  fexecve(self, arguments, environ);
  OM_CHECK(false);
}
