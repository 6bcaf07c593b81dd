// SPDX-License-Identifier: Apache-2.0
//
// A process that handles its own page faults by userfaultfd stays at home.
// om-expect: refused UFFD
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

int main() {
  long fd = syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
  if (fd < 0) om_test_skip("no userfaultfd");
  int faults = static_cast<int>(fd);
  uffdio_api api{UFFD_API, 0, 0};
  OM_SYS(ioctl(faults, UFFDIO_API, &api));
  void* map =
      OM_SYS(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  uffdio_register range{};
  range.range = {reinterpret_cast<uint64_t>(map), 4096};
  range.mode = UFFDIO_REGISTER_MODE_MISSING;
  OM_SYS(ioctl(faults, UFFDIO_REGISTER, &range));
  om_test_ready();
  om_test_wait_moved();
  OmThread pager([&] {
    uffd_msg message{};
    OM_CHECK_EQ(read(faults, &message, sizeof message), sizeof message);
    alignas(4096) static char s_page[4096];
    memset(s_page, 'u', sizeof s_page);
    uffdio_copy copy{reinterpret_cast<uint64_t>(map), reinterpret_cast<uint64_t>(s_page), 4096, 0,
                     0};
    OM_SYS(ioctl(faults, UFFDIO_COPY, &copy));
  });
  OM_CHECK_EQ(static_cast<volatile char*>(map)[100], 'u');
}
