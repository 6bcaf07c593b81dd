// SPDX-License-Identifier: Apache-2.0
//
// /dev/null, /dev/zero, /dev/full and /dev/urandom behave.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/random.h>

int main() {
  int null = OM_SYS(open("/dev/null", O_RDWR)), zero = OM_SYS(open("/dev/zero", O_RDONLY));
  int full = OM_SYS(open("/dev/full", O_WRONLY)), random = OM_SYS(open("/dev/urandom", O_RDONLY));
  om_test_ready();
  om_test_wait_moved();
  char text[256], other[256], zeros[256] = {};
  OM_CHECK_EQ(read(null, text, sizeof text), 0);
  OM_CHECK_EQ(write(null, text, sizeof text), 256);
  OM_CHECK_EQ(read(zero, text, sizeof text), 256);
  OM_CHECK(memcmp(text, zeros, 256) == 0);
  OM_CHECK_ERRNO(write(full, text, 1), ENOSPC);
  OM_CHECK_EQ(read(random, text, sizeof text), 256);
  OM_CHECK_EQ(getrandom(other, sizeof other, 0), 256);
  OM_CHECK(memcmp(text, zeros, 256) != 0);
  OM_CHECK(memcmp(text, other, 256) != 0);
}
