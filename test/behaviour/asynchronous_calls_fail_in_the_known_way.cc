// SPDX-License-Identifier: Apache-2.0
//
// Rings of io_uring and contexts of AIO after the move: they work, or there are none (ENOSYS), as on a kernel without
// them. A program that tries them and then does without gets its work done.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <linux/aio_abi.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

// The result is right, or the whole family is missing.
static bool works(long result) {
  if (result >= 0) return true;
  // ENOMEM: what a ring locks counts in RLIMIT_MEMLOCK before Linux 5.12.
  OM_CHECK(errno == ENOSYS || errno == EPERM || errno == ENOMEM);
  return false;
}

int main() {
  const int fd = OM_SYS(open("file", O_RDWR | O_CREAT, 0600));
  om_test_ready();
  om_test_wait_moved();
  char text[16] = "asynchronous";
  aio_context_t context = 0;
  if (works(syscall(SYS_io_setup, 4, &context))) {
    iocb block{};
    block.aio_lio_opcode = IOCB_CMD_PWRITE;
    block.aio_fildes = static_cast<uint32_t>(fd);
    block.aio_buf = reinterpret_cast<uint64_t>(text);
    block.aio_nbytes = 12;
    iocb* list[1] = {&block};
    io_event event{};
    OM_CHECK_EQ(syscall(SYS_io_submit, context, 1, list), 1);
    OM_CHECK_EQ(syscall(SYS_io_getevents, context, 1, 1, &event, nullptr), 1);
    OM_CHECK_EQ(event.res, 12);
    OM_CHECK_EQ(syscall(SYS_io_pgetevents, context, 0, 1, &event, nullptr, nullptr), 0);
    OM_CHECK(syscall(SYS_io_cancel, context, &block, &event) == -1);
    OM_SYS(syscall(SYS_io_destroy, context));
  } else {
    const int missing = errno;
    OM_CHECK_ERRNO(syscall(SYS_io_submit, context, 0, nullptr), missing);
    OM_CHECK_ERRNO(syscall(SYS_io_getevents, context, 1, 1, nullptr, nullptr), missing);
    OM_CHECK_ERRNO(syscall(SYS_io_pgetevents, context, 1, 1, nullptr, nullptr, nullptr), missing);
    OM_CHECK_ERRNO(syscall(SYS_io_cancel, context, nullptr, nullptr), missing);
    OM_CHECK_ERRNO(syscall(SYS_io_destroy, context), missing);
    OM_CHECK_EQ(pwrite(fd, text, 12, 0), 12);
  }
  char parameters[120] = {};
  const long ring = syscall(SYS_io_uring_setup, 4, parameters);
  if (works(ring)) {
    OM_CHECK_EQ(syscall(SYS_io_uring_enter, ring, 0, 0, 0, nullptr, 0), 0);
    OM_CHECK(syscall(SYS_io_uring_register, ring, 9999, nullptr, 0) == -1);
    close(static_cast<int>(ring));
  } else {
    const int missing = errno;
    OM_CHECK(syscall(SYS_io_uring_enter, -1, 0, 0, 0, nullptr, 0) == -1);
    OM_CHECK(errno == missing || errno == EBADF);
    OM_CHECK(syscall(SYS_io_uring_register, -1, 0, nullptr, 0) == -1);
    OM_CHECK(errno == missing || errno == EBADF);
  }
  memset(text, 0, sizeof text);
  OM_CHECK_EQ(pread(fd, text, sizeof text, 0), 12);
  OM_CHECK_EQ(static_cast<const char*>(text), "asynchronous");
}
