// SPDX-License-Identifier: Apache-2.0
//
// No space is left on the device: write, pwrite and writev answer ENOSPC after the move, and what
// stdio has kept back fails when it is flushed.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/uio.h>

int main() {
  int full = OM_SYS(open("/dev/full", O_RDWR));
  FILE* stream = fopen("/dev/full", "w");
  OM_CHECK(stream != nullptr);
  OM_CHECK_EQ(fputs("kept back", stream) >= 0, true);
  int file = OM_SYS(open("file", O_RDWR | O_CREAT, 0600));
  OM_CHECK_EQ(write(file, "contents", 8), 8);
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_ERRNO(write(full, "x", 1), ENOSPC);
  OM_CHECK_ERRNO(pwrite(full, "x", 1, 5), ENOSPC);
  char text[] = "two";
  iovec parts[2] = {{text, 1}, {text + 1, 2}};
  OM_CHECK_ERRNO(writev(full, parts, 2), ENOSPC);
  OM_CHECK_EQ(fflush(stream), EOF);
  OM_CHECK_EQ(errno, ENOSPC);
  OM_CHECK_EQ(pwrite(file, "C", 1, 0), 1);
}
