// SPDX-License-Identifier: Apache-2.0
//
// sendfile() and copy_file_range() between files copy all that they are asked for, also while the process moves.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include <atomic>

static constexpr size_t kBytes = 16 << 20;

int main() {
  const int from = OM_SYS(open("from", O_RDWR | O_CREAT | O_TRUNC, 0600));
  const int to = OM_SYS(open("to", O_RDWR | O_CREAT | O_TRUNC, 0600));
  OM_SYS(ftruncate(from, kBytes));
  std::atomic<bool> moved = false;
  om_test_ready();
  OmThread waiter([&] {
    om_test_wait_moved();
    moved = true;
  });
  do {
    off_t at = 0;
    OM_SYS(lseek(to, 0, SEEK_SET));
    OM_CHECK_EQ(sendfile(to, from, &at, kBytes), kBytes);
    OM_CHECK_EQ(at, kBytes);
    loff_t in = 0, out = 0;
    OM_CHECK_EQ(copy_file_range(from, &in, to, &out, kBytes, 0), kBytes);
  } while (!moved);
  waiter.join();
  OM_SYS(unlink("from"));
  OM_SYS(unlink("to"));
}
