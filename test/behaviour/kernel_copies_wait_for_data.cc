// SPDX-License-Identifier: Apache-2.0
//
// splice(), tee() and sendfile() are blocked across the move, for data or for room, and transfer what comes.
// om-points: 3
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/sendfile.h>

static int g_in[2], g_out[2], g_full[2];

static void drain(size_t bytes) {
  static char text[65536];
  while (bytes > 0) {
    const ssize_t got = read(g_full[0], text, bytes < sizeof text ? bytes : sizeof text);
    OM_CHECK(got > 0);
    bytes -= static_cast<size_t>(got);
  }
}

int main() {
  for (int* ends : {g_in, g_out, g_full}) OM_SYS(pipe(ends));
  const int capacity = OM_SYS(fcntl(g_full[1], F_SETPIPE_SZ, 4096));
  const int file = OM_SYS(open("file", O_RDWR | O_CREAT, 0600));
  char data[8192];
  memset(data, 'f', sizeof data);
  OM_CHECK_EQ(write(file, data, sizeof data), sizeof data);
  const pid_t helpers[] = {
      om_test_helper([] { OM_CHECK_EQ(write(g_in[1], "tee", 3), 3); }, 1),
      om_test_helper([] { OM_CHECK_EQ(write(g_in[1], "splice", 6), 6); }, 2),
      om_test_helper([&] { drain(static_cast<size_t>(capacity) + 4096); }, 3),
  };
  char text[16];
  om_test_ready_blocking("tee");
  OM_CHECK_EQ(tee(g_in[0], g_out[1], 100, 0), 3);
  om_test_wait_moved();
  OM_CHECK_EQ(read(g_in[0], text, sizeof text), 3);
  OM_CHECK_EQ(read(g_out[0], text, sizeof text), 3);
  OM_CHECK(memcmp(text, "tee", 3) == 0);
  om_test_ready_blocking("splice");
  OM_CHECK_EQ(splice(g_in[0], nullptr, g_out[1], nullptr, 100, 0), 6);
  om_test_wait_moved();
  OM_CHECK_EQ(read(g_out[0], text, sizeof text), 6);
  OM_CHECK(memcmp(text, "splice", 6) == 0);
  static char fill[65536];
  OM_CHECK_EQ(write(g_full[1], fill, static_cast<size_t>(capacity)), capacity);
  off_t offset = 0;
  om_test_ready_blocking("sendfile");
  OM_CHECK_EQ(sendfile(g_full[1], file, &offset, 4096), 4096);
  OM_CHECK_EQ(offset, 4096);
  om_test_wait_moved();
  om_test_join(helpers[2]);
  om_test_join(helpers[0]);
  om_test_join(helpers[1]);
}
