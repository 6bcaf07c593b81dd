// SPDX-License-Identifier: Apache-2.0
//
// A process with a kernel AIO context stays at home; its requests complete.
// om-expect: refused AIO
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <linux/aio_abi.h>
#include <sys/syscall.h>

int main() {
  aio_context_t context = 0;
  if (syscall(SYS_io_setup, 4, &context) != 0) om_test_skip("no kernel AIO");
  int fd = OM_SYS(open("file", O_RDWR | O_CREAT, 0600));
  om_test_ready();
  om_test_wait_moved();
  static char s_text[] = "asynchronous";
  iocb request{};
  iocb* list[1] = {&request};
  request.aio_lio_opcode = IOCB_CMD_PWRITE;
  request.aio_fildes = static_cast<uint32_t>(fd);
  request.aio_buf = reinterpret_cast<uint64_t>(s_text);
  request.aio_nbytes = 12;
  OM_CHECK_EQ(syscall(SYS_io_submit, context, 1, list), 1);
  io_event event{};
  OM_CHECK_EQ(syscall(SYS_io_getevents, context, 1, 1, &event, nullptr), 1);
  OM_CHECK_EQ(event.res, 12);
  OM_SYS(syscall(SYS_io_destroy, context));
}
