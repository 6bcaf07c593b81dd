// SPDX-License-Identifier: Apache-2.0
//
// A read-only shared mapping of a file that the user could change, and that nobody has open for writing, does not keep
// the process at home; who writes to the file after all is seen through the mapping.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

int main() {
  int fd = OM_SYS(open("file", O_RDWR | O_CREAT, 0600));
  OM_CHECK_EQ(write(fd, "old text", 8), 8);
  OM_SYS(close(fd));
  fd = OM_SYS(open("file", O_RDONLY));
  auto* text = static_cast<const char*>(OM_SYS(mmap(nullptr, 8, PROT_READ, MAP_SHARED, fd, 0)));
  pid_t other = om_test_helper([&] {
    int writer = OM_SYS(open("file", O_WRONLY));
    OM_CHECK_EQ(pwrite(writer, "new", 3, 0), 3);
  });
  om_test_ready();
  om_test_wait_moved();
  om_test_join(other);
  OM_CHECK(memcmp(text, "new text", 8) == 0);
  int own = OM_SYS(open("file", O_WRONLY | O_NONBLOCK));
  OM_CHECK_EQ(pwrite(own, "own", 3, 0), 3);
  OM_CHECK(memcmp(text, "own text", 8) == 0);
}
