// SPDX-License-Identifier: Apache-2.0
//
// A private mapping of a memfd that has not been touched when the process moves shows the memfd's contents.
#include "test/lib/om_test.h"

#include <string.h>
#include <sys/mman.h>

#include <string>

int main() {
  int fd = OM_SYS(memfd_create("contents", 0));
  const std::string text(64 << 10, 'm');
  OM_CHECK_EQ(write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  auto* at = static_cast<char*>(
      OM_SYS(mmap(nullptr, text.size(), PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0)));
  at[0] = 'a';
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_EQ(at[0], 'a');
  OM_CHECK(memcmp(at + 1, text.data() + 1, text.size() - 1) == 0);
}
