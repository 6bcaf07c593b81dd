// SPDX-License-Identifier: Apache-2.0
//
// A system call with an address that is not mapped fails with EFAULT; the program is not killed and
// a transfer that can be done in part is done in part.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

int main() {
  int fd = OM_SYS(open("data", O_RDWR | O_CREAT, 0600));
  OM_CHECK_EQ(write(fd, "0123456789", 10), 10);
  int ends[2];
  OM_SYS(pipe(ends));
  void* map =
      OM_SYS(mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  char* page = static_cast<char*>(map);
  OM_SYS(munmap(page + 4096, 4096));
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_ERRNO(syscall(SYS_pread64, fd, page + 4096, 5, 0), EFAULT);
  OM_CHECK_ERRNO(syscall(SYS_pwrite64, fd, page + 4096, 5, 0), EFAULT);
  OM_CHECK_ERRNO(syscall(SYS_openat, AT_FDCWD, page + 4096, O_RDONLY), EFAULT);
  OM_CHECK_ERRNO(syscall(SYS_newfstatat, AT_FDCWD, "data", page + 4096 - 8, 0), EFAULT);
  OM_CHECK_ERRNO(syscall(SYS_pipe2, nullptr, 0), EFAULT);
  OM_CHECK_ERRNO(syscall(SYS_nanosleep, page + 4096, nullptr), EFAULT);
  OM_CHECK_ERRNO(syscall(SYS_write, ends[1], nullptr, 5), EFAULT);
  memcpy(page + 4096 - 2, "..", 2);
  strcpy(page + 4096 - 5, "data");
  int again = OM_SYS(open(page + 4096 - 5, O_RDONLY));
  OM_CHECK_EQ(again, ends[1] + 1);
}
