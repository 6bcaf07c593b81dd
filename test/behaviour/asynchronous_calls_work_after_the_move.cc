// SPDX-License-Identifier: Apache-2.0
//
// Rings of io_uring and contexts of AIO that are made after the move work if they did before.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <linux/aio_abi.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

// As a library that looks at its start what the kernel has.
static bool g_has_aio, g_has_rings;

static void look() {
  aio_context_t context = 0;
  g_has_aio = syscall(SYS_io_setup, 4, &context) == 0;
  if (g_has_aio) OM_SYS(syscall(SYS_io_destroy, context));
  char parameters[120] = {};
  const long ring = syscall(SYS_io_uring_setup, 4, parameters);
  g_has_rings = ring >= 0;
  if (g_has_rings) close(static_cast<int>(ring));
}

int main() {
  const int fd = OM_SYS(open("file", O_RDWR | O_CREAT, 0600));
  look();
  om_test_ready();
  om_test_wait_moved();
  char text[16] = "asynchronous";
  aio_context_t context = 0;
  OM_CHECK_EQ(syscall(SYS_io_setup, 4, &context) == 0, g_has_aio);
  if (g_has_aio) {
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
    OM_CHECK_EQ(pwrite(fd, text, 12, 0), 12);
  }
  char parameters[120] = {};
  const long ring = syscall(SYS_io_uring_setup, 4, parameters);
  OM_CHECK_EQ(ring >= 0, g_has_rings);
  if (g_has_rings) {
    OM_CHECK_EQ(syscall(SYS_io_uring_enter, ring, 0, 0, 0, nullptr, 0), 0);
    OM_CHECK(syscall(SYS_io_uring_register, ring, 9999, nullptr, 0) == -1);
    close(static_cast<int>(ring));
  }
  memset(text, 0, sizeof text);
  OM_CHECK_EQ(pread(fd, text, sizeof text, 0), 12);
  OM_CHECK_EQ(static_cast<const char*>(text), "asynchronous");
}
