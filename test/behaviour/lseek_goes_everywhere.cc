// SPDX-License-Identifier: Apache-2.0
//
// lseek() with every whence, holes, and offsets beyond 4 GiB in a sparse file.
#include "test/lib/om_test.h"

#include <fcntl.h>

int main() {
  int fd = OM_SYS(open("sparse", O_RDWR | O_CREAT, 0600));
  const off_t far = (off_t{5} << 30) + 12345;
  OM_CHECK_EQ(pwrite(fd, "end", 3, far), 3);
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_EQ(lseek(fd, 0, SEEK_END), far + 3);
  OM_CHECK_EQ(lseek(fd, -3, SEEK_CUR), far);
  char text[4] = {};
  OM_CHECK_EQ(read(fd, text, 3), 3);
  OM_CHECK_EQ(static_cast<const char*>(text), "end");
  OM_CHECK_EQ(read(fd, text, 3), 0);
  OM_CHECK_EQ(pread(fd, text, 3, far / 2), 3);
  OM_CHECK_EQ(text[0], 0);
  OM_CHECK(lseek(fd, 0, SEEK_DATA) <= far);
  OM_CHECK_ERRNO(lseek(fd, far + 10, SEEK_DATA), ENXIO);
  OM_CHECK_ERRNO(lseek(fd, -1, SEEK_SET), EINVAL);
  OM_CHECK_ERRNO(lseek(fd, 0, 99), EINVAL);
  int ends[2];
  OM_SYS(pipe(ends));
  OM_CHECK_ERRNO(lseek(ends[0], 0, SEEK_CUR), ESPIPE);
  OM_SYS(unlink("sparse"));
}
