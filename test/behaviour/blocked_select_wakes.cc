// SPDX-License-Identifier: Apache-2.0
//
// select() is blocked across the move; afterwards the sets hold exactly the ready descriptors.
#include "test/lib/om_test.h"

#include <sys/select.h>

int main() {
  int quiet[2], used[2];
  OM_SYS(pipe(quiet));
  OM_SYS(pipe(used));
  int high = OM_SYS(dup2(used[0], 200));
  pid_t writer = om_test_helper([&] { OM_CHECK_EQ(write(used[1], "x", 1), 1); });
  fd_set in, errors;
  FD_ZERO(&in);
  FD_ZERO(&errors);
  FD_SET(quiet[0], &in);
  FD_SET(high, &in);
  FD_SET(high, &errors);
  om_test_ready_blocking("select|pselect6");
  OM_CHECK_EQ(select(high + 1, &in, nullptr, &errors, nullptr), 1);
  OM_CHECK(FD_ISSET(high, &in));
  OM_CHECK(!FD_ISSET(quiet[0], &in));
  OM_CHECK(!FD_ISSET(high, &errors));
  om_test_join(writer);
}
