// SPDX-License-Identifier: Apache-2.0
//
// brk and sbrk grow and shrink after the move; the contents below stay, new space is zero.
#include "test/lib/om_test.h"

int main() {
  char* start = static_cast<char*>(OM_SYS(sbrk(0)));
  OM_CHECK_EQ(OM_SYS(sbrk(100000)), start);
  for (int i = 0; i < 100000; ++i) start[i] = static_cast<char>(i % 127);
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_EQ(OM_SYS(sbrk(0)), start + 100000);
  OM_CHECK_EQ(OM_SYS(sbrk(400000)), start + 100000);
  for (int i = 0; i < 500000; ++i) OM_CHECK_EQ(start[i], i < 100000 ? i % 127 : 0);
  start[499999] = 1;
  OM_SYS(sbrk(-450000));
  OM_CHECK_EQ(OM_SYS(sbrk(0)), start + 50000);
  OM_SYS(sbrk(450000));
  OM_CHECK_EQ(start[499999], 0);
  OM_CHECK_EQ(start[49999], 49999 % 127);
  OM_SYS(brk(start));
  OM_CHECK_EQ(OM_SYS(sbrk(0)), start);
}
