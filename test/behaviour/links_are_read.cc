// SPDX-License-Identifier: Apache-2.0
//
// symlink, readlink (cut to the buffer, no NUL) and realpath; loops and dangling links give their
// errors.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <string>

int main() {
  OM_SYS(symlink("target-of-the-link", "link"));
  om_test_ready();
  om_test_wait_moved();
  OmGuarded exact(18), small(5);
  OM_CHECK_EQ(readlink("link", exact.data(), 18), 18);
  OM_CHECK(memcmp(exact.data(), "target-of-the-link", 18) == 0);
  OM_CHECK_EQ(readlink("link", small.data(), 5), 5);
  OM_CHECK(memcmp(small.data(), "targe", 5) == 0);
  OM_CHECK_EQ(readlinkat(AT_FDCWD, "link", exact.data(), 18), 18);
  OM_CHECK_ERRNO(open("link", O_RDONLY), ENOENT);
  OM_SYS(close(OM_SYS(open("link", O_WRONLY | O_CREAT, 0600))));
  OM_CHECK_EQ(access("target-of-the-link", F_OK), 0);
  char path[PATH_MAX];
  OM_CHECK(realpath("link", path) == path);
  OM_CHECK(std::string(path).ends_with("/target-of-the-link"));
  OM_SYS(symlink("loop", "loop"));
  OM_CHECK_ERRNO(open("loop", O_RDONLY), ELOOP);
  OM_CHECK_ERRNO(readlink("target-of-the-link", small.data(), 5), EINVAL);
  std::string too_long(5000, 'x');
  OM_CHECK_ERRNO(open(too_long.c_str(), O_RDONLY), ENAMETOOLONG);
}
