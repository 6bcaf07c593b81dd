// SPDX-License-Identifier: Apache-2.0
//
// A read-only shared mapping that is made while away, of a file that the program can write: it sees its own writes
// through the mapping. (It comes home for that.)
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <sys/mman.h>

int main() {
  int fd = OM_SYS(open("file", O_RDWR | O_CREAT, 0600));
  OM_CHECK_EQ(write(fd, "old text", 8), 8);
  int reader = OM_SYS(open("file", O_RDONLY));
  om_test_ready();
  om_test_wait_moved();
  auto* text =
      static_cast<const volatile char*>(OM_SYS(mmap(nullptr, 8, PROT_READ, MAP_SHARED, reader, 0)));
  OM_CHECK_EQ(text[0], 'o');
  OM_CHECK_EQ(pwrite(fd, "N", 1, 0), 1);
  OM_CHECK_EQ(text[0], 'N');
}
