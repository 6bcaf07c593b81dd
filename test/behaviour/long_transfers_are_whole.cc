// SPDX-License-Identifier: Apache-2.0
//
// Transfers of 40 MiB in one call: files by every call that writes and reads them, vectors of even and odd
// parts, and memory devices. Each does all that is asked for, as a kernel does for files.
// om-limit: 120
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

constexpr size_t kBytes = (40 << 20) + 13;

static unsigned char* data;
static unsigned char* back;

static void check(const char* what) {
  if (memcmp(data, back, kBytes) != 0) {
    dprintf(2, "%s: other bytes\n", what);
    _exit(1);
  }
  memset(back, 0, kBytes);
}

int main() {
  data = static_cast<unsigned char*>(malloc(kBytes));
  back = static_cast<unsigned char*>(malloc(kBytes));
  uint32_t x = 7;
  for (size_t i = 0; i < kBytes; ++i) {
    x = x * 1664525 + 1013904223;
    data[i] = static_cast<unsigned char>(x >> 24);
  }
  int fd = OM_SYS(open("long", O_RDWR | O_CREAT, 0600));
  int copy = OM_SYS(open("copy", O_RDWR | O_CREAT, 0600));
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_EQ(write(fd, data, kBytes), kBytes);
  OM_CHECK_EQ(pread(fd, back, kBytes + 99, 0), kBytes);
  check("write");

  // One large part between small ones, so that pieces end inside of parts.
  unsigned char* rest = data + 5 + (33 << 20);
  unsigned char* half = back + (17 << 20);
  iovec out[4] = {{data, 5}, {data + 5, 33 << 20}, {rest, 0}, {rest, kBytes - 5 - (33 << 20)}};
  iovec in[3] = {{back, 17 << 20}, {half, 1}, {half + 1, kBytes - (17 << 20) - 1}};
  OM_CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
  OM_CHECK_EQ(writev(fd, out, 4), kBytes);
  OM_CHECK_EQ(lseek(fd, 0, SEEK_CUR), kBytes);
  OM_CHECK_EQ(preadv(fd, in, 3, 0), kBytes);
  check("writev");
  OM_CHECK_EQ(pwritev(fd, out, 4, 3), kBytes);
  OM_CHECK_EQ(lseek(fd, 3, SEEK_SET), 3);
  OM_CHECK_EQ(readv(fd, in, 3), kBytes);
  check("pwritev");
  OM_CHECK_EQ(pwritev2(fd, out, 4, 0, RWF_DSYNC), kBytes);
  OM_CHECK_EQ(preadv2(fd, in, 3, 0, 0), kBytes);
  check("pwritev2");
  OM_CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
  OM_CHECK_EQ(preadv2(fd, in, 3, -1, 0), kBytes);
  check("preadv2 at the offset");
  OM_CHECK_EQ(lseek(fd, 0, SEEK_CUR), kBytes);

  OM_CHECK_EQ(ftruncate(fd, kBytes), 0);
  off_t at = 0;
  OM_CHECK_EQ(sendfile(copy, fd, &at, kBytes + 1), kBytes);
  OM_CHECK_EQ(at, kBytes);
  OM_CHECK_EQ(pread(copy, back, kBytes, 0), kBytes);
  check("sendfile");

  int zero = OM_SYS(open("/dev/zero", O_RDWR));
  memset(back, 1, kBytes);
  OM_CHECK_EQ(read(zero, back, kBytes), kBytes);
  OM_CHECK(back[0] == 0 && back[kBytes - 1] == 0 && back[kBytes / 2] == 0);
  OM_CHECK_EQ(write(zero, data, kBytes), kBytes);

  int end = OM_SYS(open("long", O_WRONLY | O_APPEND));
  OM_CHECK_EQ(write(end, data, kBytes), kBytes);
  OM_CHECK_EQ(lseek(fd, 0, SEEK_END), 2 * kBytes);
  OM_CHECK_EQ(pread(fd, back, kBytes, kBytes), kBytes);
  check("append");
  OM_SYS(unlink("long"));
  OM_SYS(unlink("copy"));
}
