// SPDX-License-Identifier: Apache-2.0
//
// membarrier() commands registered before the move work after it, from several threads.
#include "test/lib/om_test.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>

static long membarrier(int command) { return syscall(SYS_membarrier, command, 0, 0); }

int main() {
  long supported = membarrier(MEMBARRIER_CMD_QUERY);
  if (supported < 0) om_test_skip("no membarrier");
  OM_CHECK_EQ(membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED), 0);
  OM_CHECK_EQ(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED), 0);
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_EQ(membarrier(MEMBARRIER_CMD_QUERY), supported);
  OmThread other([] { OM_CHECK_EQ(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED), 0); });
  for (int i = 0; i < 100; ++i) OM_CHECK_EQ(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED), 0);
}
