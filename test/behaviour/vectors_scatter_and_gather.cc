// SPDX-License-Identifier: Apache-2.0
//
// readv and writev with many, empty and uneven parts; more than the system allows is EINVAL.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/uio.h>
#include <vector>

int main() {
  int fd = OM_SYS(open("data", O_RDWR | O_CREAT, 0600));
  std::vector<char> out(60000), in(60000);
  for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<char>(i * 17 + i / 300);
  om_test_ready();
  om_test_wait_moved();
  std::vector<iovec> parts;
  for (size_t at = 0, n = 0; at < out.size(); at += n, ++n) {
    if (n > out.size() - at) n = out.size() - at;
    parts.push_back({out.data() + at, n});
  }
  OM_CHECK_EQ(writev(fd, parts.data(), static_cast<int>(parts.size())), 60000);
  OM_CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
  for (iovec& part : parts)
    part.iov_base = in.data() + (static_cast<char*>(part.iov_base) - out.data());
  OM_CHECK_EQ(readv(fd, parts.data(), static_cast<int>(parts.size())), 60000);
  OM_CHECK(in == out);
  OM_CHECK_EQ(readv(fd, parts.data(), 3), 0);
  OM_CHECK_EQ(writev(fd, parts.data(), 0), 0);
  std::vector<iovec> many(IOV_MAX + 1, iovec{out.data(), 1});
  OM_CHECK_ERRNO(writev(fd, many.data(), IOV_MAX + 1), EINVAL);
  OM_CHECK_EQ(writev(fd, many.data(), IOV_MAX), IOV_MAX);
}
