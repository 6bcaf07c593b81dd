// SPDX-License-Identifier: Apache-2.0
//
// A program that has a root, mounts and a network of its own, as services and sandboxes do, moves and sees no others
// afterwards.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>

static void write_file(const char* path, const char* text) {
  const int fd = OM_SYS(open(path, O_WRONLY | O_CLOEXEC));
  OM_SYS(write(fd, text, strlen(text)));
  OM_SYS(close(fd));
}

int main() {
  char uids[64], gids[64];
  snprintf(uids, sizeof uids, "%d %d 1", getuid(), getuid());
  snprintf(gids, sizeof gids, "%d %d 1", getgid(), getgid());
  OM_SYS(mkdir("jail", 0755));
  OM_SYS(mkdir("jail/test", 0755));
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET) != 0)
    om_test_skip("no namespaces of its own");
  OM_SYS(prctl(PR_SET_DUMPABLE, 1));
  write_file("/proc/self/setgroups", "deny");
  write_file("/proc/self/uid_map", uids);
  write_file("/proc/self/gid_map", gids);
  OM_SYS(mount(getenv("OM_TEST_DIR"), "jail/test", nullptr, MS_BIND, nullptr));
  OM_SYS(chroot("jail"));
  OM_SYS(chdir("/"));
  OM_SYS(setenv("OM_TEST_DIR", "/test", 1));

  om_test_ready();
  om_test_wait_moved();
  const int made = OM_SYS(open("/made", O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
  OM_CHECK_EQ(access("/made", F_OK), 0);
  OM_CHECK_ERRNO(access("/etc/passwd", F_OK), ENOENT);
  OM_SYS(close(made));
  OM_SYS(unlink("/made"));
  struct if_nameindex* interfaces = if_nameindex();
  OM_CHECK(interfaces != nullptr && strcmp(interfaces[0].if_name, "lo") == 0);
  OM_CHECK(interfaces[1].if_index == 0);
  puts("its own root and one interface");
}
