// SPDX-License-Identifier: Apache-2.0
//
// splice between file and pipe, tee between pipes, vmsplice out of memory.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>

int main() {
  int first[2], second[2];
  OM_SYS(pipe(first));
  OM_SYS(pipe(second));
  int from = OM_SYS(open("from", O_RDWR | O_CREAT, 0600)),
      to = OM_SYS(open("to", O_RDWR | O_CREAT, 0600));
  OM_CHECK_EQ(write(from, "0123456789", 10), 10);
  om_test_ready();
  om_test_wait_moved();
  off64_t offset = 2;
  OM_CHECK_EQ(splice(from, &offset, first[1], nullptr, 6, 0), 6);
  OM_CHECK_EQ(offset, 8);
  OM_CHECK_EQ(tee(first[0], second[1], 100, 0), 6);
  OM_CHECK_EQ(splice(first[0], nullptr, to, nullptr, 100, 0), 6);
  char text[16];
  OM_CHECK_EQ(read(second[0], text, sizeof text), 6);
  OM_CHECK(memcmp(text, "234567", 6) == 0);
  OM_CHECK_EQ(pread(to, text, sizeof text, 0), 6);
  OM_CHECK(memcmp(text, "234567", 6) == 0);
  char memory[] = "out of memory";
  iovec part{memory, 13};
  OM_CHECK_EQ(vmsplice(first[1], &part, 1, 0), 13);
  OM_CHECK_EQ(read(first[0], text, sizeof text), 13);
  OM_CHECK(memcmp(text, "out of memory", 13) == 0);
  OM_CHECK_ERRNO(splice(from, nullptr, to, nullptr, 1, 0), EINVAL);
  OM_CHECK_ERRNO(tee(first[0], second[1], 10, SPLICE_F_NONBLOCK), EAGAIN);
}
