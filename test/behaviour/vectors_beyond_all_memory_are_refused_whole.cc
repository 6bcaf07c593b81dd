// SPDX-License-Identifier: Apache-2.0
//
// An element of a vector that lies beyond all user memory, even an empty one, refuses the whole transfer, as does
// advice on a range that wraps around.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

int main() {
  int file = OM_SYS(open("data", O_RDWR | O_CREAT | O_TRUNC, 0644));
  OM_CHECK_EQ(write(file, "0123456789", 10), 10);
  char text[8];
  iovec vector[2] = {{text, 4}, {reinterpret_cast<void*>(~uintptr_t{0}), 0}};
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_ERRNO(madvise(nullptr, ~size_t{2048}, MADV_DONTFORK), EINVAL);
  OM_CHECK_ERRNO(madvise(reinterpret_cast<void*>(4096), ~size_t{0}, MADV_DONTNEED), EINVAL);
  OM_CHECK_ERRNO(preadv(file, vector, 2, 0), EFAULT);
  OM_CHECK_ERRNO(pwritev(file, vector, 2, 20), EFAULT);
  OM_CHECK_EQ(lseek(file, 0, SEEK_END), 10);
  vector[1].iov_base = nullptr;
  OM_CHECK_EQ(preadv(file, vector, 2, 2), 4);
  OM_CHECK_EQ(text[0], '2');
}
