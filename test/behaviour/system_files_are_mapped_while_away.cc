// SPDX-License-Identifier: Apache-2.0
//
// A read-only shared mapping of a system file (glibc's conversion cache, say) that is made where the program runs shows
// the file and does not bring it home; it cannot become writable.
// om-points: 2
// om-stays: away
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <vector>

int main() {
  const char* path = "/etc/ld.so.cache";
  int fd = open(path, O_RDONLY);
  if (fd < 0 || access(path, W_OK) == 0) om_test_skip("no readable file that cannot be written");
  struct stat info {};
  OM_SYS(fstat(fd, &info));
  const auto bytes = static_cast<size_t>(info.st_size);
  om_test_ready();
  om_test_wait_moved();
  auto* text = static_cast<char*>(OM_SYS(mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0)));
  om_test_ready();
  om_test_wait_moved();
  std::vector<char> read_too(bytes);
  OM_CHECK_EQ(pread(fd, read_too.data(), bytes, 0), static_cast<ssize_t>(bytes));
  OM_CHECK(memcmp(text, read_too.data(), bytes) == 0);
  OM_CHECK_ERRNO(mprotect(text, bytes, PROT_READ | PROT_WRITE), EACCES);
  OM_SYS(munmap(text, bytes));
}
