// SPDX-License-Identifier: Apache-2.0
//
// Process, parent, thread, group, session, user and group ids are the same before and after the
// move, by every way to ask.
// om-points: moves
#include "test/lib/om_test.h"

#include <grp.h>
#include <string.h>
#include <sys/syscall.h>
#include <string>

struct Ids {
  pid_t pid, parent, tid, group, session;
  uid_t real, effective, saved;
  gid_t gid, egid, sgid;
  int groups;
};

static Ids ids() {
  Ids now{};
  memset(&now, 0, sizeof now);
  now.pid = static_cast<pid_t>(syscall(SYS_getpid));
  now.parent = getppid();
  now.tid = static_cast<pid_t>(syscall(SYS_gettid));
  now.group = getpgrp();
  now.session = getsid(0);
  OM_SYS(getresuid(&now.real, &now.effective, &now.saved));
  OM_SYS(getresgid(&now.gid, &now.egid, &now.sgid));
  now.groups = OM_SYS(getgroups(0, nullptr));
  return now;
}

int main() {
  Ids before = ids();
  for (int i = 0; i < om_test_moves() || i == 0; ++i) {
    om_test_ready();
    om_test_wait_moved();
    Ids now = ids();
    OM_CHECK(memcmp(&before, &now, sizeof now) == 0);
    OM_CHECK_EQ(getpid(), before.pid);
    OM_CHECK_EQ(getpgid(before.pid), before.group);
    OM_CHECK_EQ(getuid(), before.real);
    char link[32] = {};
    OM_CHECK(readlink("/proc/self", link, sizeof link) > 0);
    OM_CHECK_EQ(static_cast<const char*>(link), std::to_string(before.pid).c_str());
    OmThread other([&] { OM_CHECK_EQ(getpid(), before.pid); });
  }
}
