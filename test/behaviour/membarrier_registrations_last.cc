// SPDX-License-Identifier: Apache-2.0
//
// Registrations for membarrier() are the program's own: those made before the moves are the ones reported, those
// made after the first moves count after the next, and a command without registration is refused.
// om-points: 2
#include "test/lib/om_test.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>

static constexpr int kGetRegistrations = 1 << 9;  // Linux 6.3

static long membarrier(int command) { return syscall(SYS_membarrier, command, 0, 0); }

int main() {
  constexpr int kWanted =
      MEMBARRIER_CMD_PRIVATE_EXPEDITED | MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE;
  const long supported = membarrier(MEMBARRIER_CMD_QUERY);
  if (supported < 0 || (supported & kWanted) != kWanted) om_test_skip("no membarrier");
  const bool told = membarrier(kGetRegistrations) >= 0;
  OM_CHECK_EQ(membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED), 0);
  om_test_ready();
  om_test_wait_moved();
  if (told) OM_CHECK_EQ(membarrier(kGetRegistrations), MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
  OM_CHECK_EQ(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED), 0);
  OM_CHECK_ERRNO(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE), EPERM);
  OM_CHECK_EQ(membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE), 0);
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_EQ(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE), 0);
  OM_CHECK_EQ(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED), 0);
}
