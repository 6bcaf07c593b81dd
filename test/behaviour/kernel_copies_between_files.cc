// SPDX-License-Identifier: Apache-2.0
//
// sendfile to a file and to a socket, and copy_file_range, with and without offsets.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

int main() {
  int from = OM_SYS(open("from", O_RDWR | O_CREAT, 0600));
  int to = OM_SYS(open("to", O_RDWR | O_CREAT, 0600));
  int pair[2];
  OM_SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  static char data[100000], back[100000];
  for (size_t i = 0; i < sizeof data; ++i) data[i] = static_cast<char>(i % 251);
  OM_CHECK_EQ(write(from, data, sizeof data), 100000);
  om_test_ready();
  om_test_wait_moved();
  OmGuardedOut<off_t> offset;
  *offset = 1000;
  OM_CHECK_EQ(sendfile(to, from, &offset, 50000), 50000);
  OM_CHECK_EQ(*offset, 51000);
  OM_CHECK_EQ(lseek(to, 0, SEEK_CUR), 50000);
  OM_CHECK_EQ(pread(to, back, 50000, 0), 50000);
  OM_CHECK(memcmp(back, data + 1000, 50000) == 0);
  OM_CHECK_EQ(lseek(from, 99990, SEEK_SET), 99990);
  OM_CHECK_EQ(sendfile(pair[0], from, nullptr, 1000), 10);
  OM_CHECK_EQ(recv(pair[1], back, sizeof back, 0), 10);
  OM_CHECK(memcmp(back, data + 99990, 10) == 0);
  off_t in = 0, out = 60000;
  ssize_t copied = copy_file_range(from, &in, to, &out, 30000, 0);
  OM_CHECK_EQ(copied, 30000);
  OM_CHECK_EQ(in, 30000);
  OM_CHECK_EQ(out, 90000);
  OM_CHECK_EQ(pread(to, back, 30000, 60000), 30000);
  OM_CHECK(memcmp(back, data, 30000) == 0);
}
