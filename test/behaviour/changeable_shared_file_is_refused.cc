// SPDX-License-Identifier: Apache-2.0
//
// A shared read-only mapping of a file that the program itself can write keeps it at home: it must
// see its own writes through the mapping.
// om-expect: refused SHARED_FILE
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <sys/mman.h>

int main() {
  int fd = OM_SYS(open("file", O_RDWR | O_CREAT, 0600));
  OM_CHECK_EQ(write(fd, "old text", 8), 8);
  auto* text =
      static_cast<const volatile char*>(OM_SYS(mmap(nullptr, 8, PROT_READ, MAP_SHARED, fd, 0)));
  OM_CHECK_EQ(text[0], 'o');
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_EQ(pwrite(fd, "N", 1, 0), 1);
  OM_CHECK_EQ(text[0], 'N');
}
