// SPDX-License-Identifier: Apache-2.0
//
// A file without a name is still read, written and measured after the move; so is one made after
// it.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

int main() {
  int fd = OM_SYS(open("gone", O_RDWR | O_CREAT, 0600));
  OM_CHECK_EQ(write(fd, "before ", 7), 7);
  OM_SYS(unlink("gone"));
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_EQ(write(fd, "after", 5), 5);
  char text[16] = {};
  OM_CHECK_EQ(pread(fd, text, sizeof text, 0), 12);
  OM_CHECK_EQ(static_cast<const char*>(text), "before after");
  struct stat info {};
  OM_SYS(fstat(fd, &info));
  OM_CHECK_EQ(info.st_nlink, 0);
  OM_CHECK_EQ(info.st_size, 12);
  FILE* temporary = tmpfile();
  OM_CHECK(temporary != nullptr);
  OM_CHECK(fprintf(temporary, "%d", 12345) == 5);
  rewind(temporary);
  int number = 0;
  OM_CHECK_EQ(fscanf(temporary, "%d", &number), 1);
  OM_CHECK_EQ(number, 12345);
  fclose(temporary);
}
