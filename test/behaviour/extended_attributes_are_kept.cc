// SPDX-License-Identifier: Apache-2.0
//
// set, get, list and remove of user attributes by path, link and descriptor; sizes and errors.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>

int main() {
  int fd = OM_SYS(open("file", O_RDWR | O_CREAT, 0600));
  if (setxattr("file", "user.before", "old value", 9, 0) != 0)
    om_test_skip("no user attributes here");
  OM_SYS(symlink("file", "link"));
  om_test_ready();
  om_test_wait_moved();
  OmGuarded value(9), names(23);
  OM_CHECK_EQ(getxattr("link", "user.before", value.data(), 9), 9);
  OM_CHECK(memcmp(value.data(), "old value", 9) == 0);
  OM_CHECK_EQ(getxattr("file", "user.before", nullptr, 0), 9);
  OM_CHECK_ERRNO(getxattr("file", "user.before", value.data(), 8), ERANGE);
  OM_SYS(fsetxattr(fd, "user.after", "x", 1, XATTR_CREATE));
  OM_CHECK_ERRNO(lsetxattr("file", "user.after", "y", 1, XATTR_CREATE), EEXIST);
  OM_SYS(lsetxattr("file", "user.after", "yz", 2, XATTR_REPLACE));
  OM_CHECK_EQ(fgetxattr(fd, "user.after", value.data(), 9), 2);
  OM_CHECK_EQ(lgetxattr("file", "user.after", value.data(), 9), 2);
  OM_CHECK_EQ(listxattr("file", names.data(), 23), 23);
  OM_CHECK_EQ(flistxattr(fd, nullptr, 0), 23);
  OM_CHECK_EQ(llistxattr("link", names.data(), 23), 0);
  OM_CHECK_ERRNO(listxattr("file", names.data(), 22), ERANGE);
  OM_SYS(removexattr("file", "user.before"));
  OM_SYS(fremovexattr(fd, "user.after"));
  OM_CHECK_ERRNO(lremovexattr("file", "user.after"), ENODATA);
  OM_CHECK_EQ(listxattr("file", nullptr, 0), 0);
}
