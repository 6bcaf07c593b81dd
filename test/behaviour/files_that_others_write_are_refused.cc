// SPDX-License-Identifier: Apache-2.0
//
// A read-only shared mapping of a file that another process has open for writing keeps the process at home.
// om-expect: refused SHARED_FILE
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <sys/mman.h>

int main() {
  int fd = OM_SYS(open("file", O_RDWR | O_CREAT, 0600));
  OM_CHECK_EQ(write(fd, "old", 3), 3);
  pid_t other = om_test_helper([&] { OM_CHECK_EQ(pwrite(fd, "new", 3, 0), 3); });
  OM_SYS(close(fd));
  fd = OM_SYS(open("file", O_RDONLY));
  auto* text =
      static_cast<const volatile char*>(OM_SYS(mmap(nullptr, 3, PROT_READ, MAP_SHARED, fd, 0)));
  OM_CHECK_EQ(text[0], 'o');
  om_test_ready();
  om_test_wait_moved();
  om_test_join(other);
  OM_CHECK_EQ(text[0], 'n');
}
