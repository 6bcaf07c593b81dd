// SPDX-License-Identifier: Apache-2.0
//
// vfork, posix_spawn with file actions, system() and popen() after the move.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

int main() {
  om_test_ready();
  om_test_wait_moved();
  pid_t child = vfork();
  if (child == 0) {
    execl("/bin/sh", "sh", "-c", "exit 5", nullptr);
    _exit(127);
  }
  int status = 0;
  OM_CHECK_EQ(waitpid(child, &status, 0), child);
  OM_CHECK_EQ(WEXITSTATUS(status), 5);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, "out", O_WRONLY | O_CREAT, 0600);
  char shell[] = "sh", option[] = "-c", script[] = "echo spawned";
  char* arguments[] = {shell, option, script, nullptr};
  OM_CHECK_EQ(posix_spawn(&child, "/bin/sh", &actions, nullptr, arguments, environ), 0);
  OM_CHECK_EQ(waitpid(child, &status, 0), child);
  OM_CHECK_EQ(status, 0);
  OM_CHECK_EQ(posix_spawn(&child, "./none", nullptr, nullptr, arguments, environ), ENOENT);
  OM_CHECK_EQ(system("grep -q spawned out"), 0);
  OM_CHECK_EQ(WEXITSTATUS(system("exit 77")), 77);
  FILE* stream = popen("echo one; echo two; exit 3", "r");
  OM_CHECK(stream != nullptr);
  char line[16];
  OM_CHECK(fgets(line, sizeof line, stream) != nullptr && strcmp(line, "one\n") == 0);
  OM_CHECK(fgets(line, sizeof line, stream) != nullptr && strcmp(line, "two\n") == 0);
  OM_CHECK_EQ(WEXITSTATUS(pclose(stream)), 3);
  OM_SYS(unlink("out"));
}
