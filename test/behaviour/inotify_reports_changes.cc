// SPDX-License-Identifier: Apache-2.0
//
// An inotify watch from before the move reports what another process and the program itself do
// after it.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>

int main() {
  OM_SYS(mkdir("watched", 0700));
  int notify = inotify_init1(IN_CLOEXEC);
  if (notify < 0) om_test_skip("no inotify");  // or all of the user's are taken
  int watch = OM_SYS(inotify_add_watch(notify, "watched", IN_CREATE | IN_DELETE));
  pid_t other = om_test_helper([] { OM_SYS(creat("watched/by-other", 0600)); });
  OmGuarded events(sizeof(inotify_event) + 16);
  om_test_ready_blocking("read");
  OM_CHECK_EQ(read(notify, events.data(), sizeof(inotify_event) + 16), sizeof(inotify_event) + 16);
  auto* event = events.as<inotify_event>();
  OM_CHECK_EQ(event->wd, watch);
  OM_CHECK_EQ(event->mask, IN_CREATE);
  OM_CHECK_EQ(static_cast<const char*>(event->name), "by-other");
  om_test_join(other);
  OM_SYS(unlink("watched/by-other"));
  OM_CHECK_EQ(read(notify, events.data(), sizeof(inotify_event) + 16), sizeof(inotify_event) + 16);
  OM_CHECK_EQ(event->mask, IN_DELETE);
  OM_SYS(inotify_rm_watch(notify, watch));
  OM_CHECK_EQ(read(notify, events.data(), sizeof(inotify_event) + 16), sizeof(inotify_event));
  OM_CHECK_EQ(event->mask, IN_IGNORED);
  OM_CHECK_ERRNO(inotify_rm_watch(notify, watch), EINVAL);
  OM_SYS(rmdir("watched"));
  OM_CHECK(OM_SYS(syscall(SYS_inotify_init)) > notify);
}
