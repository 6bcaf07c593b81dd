// SPDX-License-Identifier: Apache-2.0
//
// SOCK_SEQPACKET keeps records, MSG_EOR bounds and a record queued before the move.
#include "test/lib/om_test.h"

#include <string.h>
#include <sys/socket.h>

int main() {
  int ends[2];
  OM_SYS(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends));
  OM_CHECK_EQ(send(ends[0], "first", 5, 0), 5);
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_EQ(send(ends[0], "second record", 13, MSG_EOR), 13);
  char text[64];
  OM_CHECK_EQ(recv(ends[1], text, sizeof text, 0), 5);
  OM_CHECK_EQ(recv(ends[1], text, 6, 0), 6);
  OM_CHECK(memcmp(text, "second", 6) == 0);
  OM_CHECK_ERRNO(recv(ends[1], text, sizeof text, MSG_DONTWAIT), EAGAIN);
  OM_SYS(shutdown(ends[0], SHUT_WR));
  OM_CHECK_EQ(recv(ends[1], text, sizeof text, 0), 0);
  OM_CHECK_EQ(send(ends[1], "back", 4, 0), 4);
  OM_CHECK_EQ(recv(ends[0], text, sizeof text, 0), 4);
}
