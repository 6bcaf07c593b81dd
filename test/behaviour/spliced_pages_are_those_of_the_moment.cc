// SPDX-License-Identifier: Apache-2.0
//
// vmsplice puts the program's pages into a pipe, in both directions, and splice passes them on; more than a pipe has
// room for is cut when it does not wait.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>

int main() {
  int first[2], second[2];
  OM_SYS(pipe(first));
  OM_SYS(pipe(second));
  void* map =
      OM_SYS(mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  char* pages = static_cast<char*>(map);
  memset(pages, 'p', 1 << 20);
  om_test_ready();
  om_test_wait_moved();
  iovec parts[2] = {{pages, 4096}, {pages + 8192, 100}};
  OM_CHECK_EQ(vmsplice(first[1], parts, 2, 0), 4196);
  OM_CHECK_EQ(splice(first[0], nullptr, second[1], nullptr, 4196, 0), 4196);
  char text[4196];
  iovec to = {text, sizeof text};
  OM_CHECK_EQ(vmsplice(second[0], &to, 1, 0), 4196);
  for (char c : text) OM_CHECK_EQ(c, 'p');
  const int room = OM_SYS(fcntl(first[1], F_GETPIPE_SZ));
  iovec all = {pages, 1 << 20};
  const ssize_t some = OM_SYS(vmsplice(first[1], &all, 1, SPLICE_F_NONBLOCK));
  OM_CHECK(some > 0 && some <= room);
  OM_CHECK_ERRNO(vmsplice(first[1], &all, 1, SPLICE_F_NONBLOCK), EAGAIN);
  OM_CHECK_ERRNO(vmsplice(-1, &all, 1, 0), EBADF);
}
