// SPDX-License-Identifier: Apache-2.0
//
// fsync, fdatasync, sync_file_range, syncfs, readahead and posix_fadvise succeed on files and fail
// on pipes.
#include "test/lib/om_test.h"

#include <fcntl.h>

int main() {
  int fd = OM_SYS(open("file", O_RDWR | O_CREAT, 0600)), ends[2];
  OM_SYS(pipe(ends));
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_EQ(write(fd, "to be kept", 10), 10);
  OM_SYS(fsync(fd));
  OM_CHECK_EQ(pwrite(fd, "T", 1, 0), 1);
  OM_SYS(fdatasync(fd));
  OM_SYS(sync_file_range(fd, 0, 10, SYNC_FILE_RANGE_WRITE));
  OM_SYS(syncfs(fd));
  sync();
  OM_SYS(readahead(fd, 0, 10));
  OM_CHECK_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
  OM_CHECK_ERRNO(fsync(ends[0]), EINVAL);
  OM_CHECK_ERRNO(readahead(ends[0], 0, 1), EINVAL);
  OM_CHECK_EQ(posix_fadvise(ends[0], 0, 0, POSIX_FADV_NORMAL), ESPIPE);
  OM_CHECK_ERRNO(fsync(900), EBADF);
}
