// SPDX-License-Identifier: Apache-2.0
//
// A shared read-only mapping of a file that the user cannot write (as the locale and gconv caches
// that many programs map) does not keep the process at home.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

int main() {
  const char* path = "/etc/ld.so.cache";
  int fd = open(path, O_RDONLY);
  if (fd < 0 || access(path, W_OK) == 0) om_test_skip("no readable file that cannot be written");
  struct stat info {};
  OM_SYS(fstat(fd, &info));
  auto bytes = static_cast<size_t>(info.st_size);
  auto* text =
      static_cast<unsigned char*>(OM_SYS(mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0)));
  uint64_t before = 0, after = 0;
  for (size_t i = 0; i < bytes; ++i) before = before * 31 + text[i];
  om_test_ready();
  om_test_wait_moved();
  for (size_t i = 0; i < bytes; ++i) after = after * 31 + text[i];
  OM_CHECK_EQ(before, after);
}
