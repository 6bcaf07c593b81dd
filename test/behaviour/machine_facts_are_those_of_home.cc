// SPDX-License-Identifier: Apache-2.0
//
// uname, host name, sysinfo, page size and the number of processors do not change with the move.
#include "test/lib/om_test.h"

#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

int main() {
  utsname before{};
  struct sysinfo info {};
  OM_SYS(uname(&before));
  OM_SYS(sysinfo(&info));
  long processors = sysconf(_SC_NPROCESSORS_ONLN), configured = sysconf(_SC_NPROCESSORS_CONF);
  char host[65] = {}, host_after[65] = {};
  OM_SYS(gethostname(host, sizeof host));
  om_test_ready();
  om_test_wait_moved();
  OmGuardedOut<utsname> after;
  OmGuardedOut<struct sysinfo> now;
  OM_SYS(uname(&after));
  OM_CHECK(memcmp(&before, &after, sizeof before) == 0);
  OM_SYS(gethostname(host_after, sizeof host_after));
  OM_CHECK_EQ(static_cast<const char*>(host_after), static_cast<const char*>(host));
  OM_SYS(sysinfo(&now));
  OM_CHECK_EQ(now->totalram, info.totalram);
  OM_CHECK_EQ(now->totalswap, info.totalswap);
  OM_CHECK(now->uptime >= info.uptime);
  OM_CHECK_EQ(sysconf(_SC_NPROCESSORS_ONLN), processors);
  OM_CHECK_EQ(sysconf(_SC_NPROCESSORS_CONF), configured);
  OM_CHECK_EQ(sysconf(_SC_PAGESIZE), 4096);
}
