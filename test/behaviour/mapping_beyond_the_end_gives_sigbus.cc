// SPDX-License-Identifier: Apache-2.0
//
// Touching a page of a private file mapping behind the end of the file raises SIGBUS with its
// address.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

static sigjmp_buf g_buffer;
static siginfo_t g_info;

static void expect_bus_error(char* address) {
  if (sigsetjmp(g_buffer, 1) == 0) {
    static_cast<void>(*static_cast<volatile char*>(address));
    OM_CHECK(false);
  }
  OM_CHECK_EQ(g_info.si_addr, address);
  OM_CHECK_EQ(g_info.si_code, BUS_ADRERR);
}

int main() {
  struct sigaction action {};
  action.sa_sigaction = [](int, siginfo_t* info, void*) {
    g_info = *info;
    siglongjmp(g_buffer, 1);
  };
  action.sa_flags = SA_SIGINFO;
  OM_SYS(sigaction(SIGBUS, &action, nullptr));
  int fd = OM_SYS(open("file", O_RDWR | O_CREAT, 0600));
  OM_CHECK_EQ(write(fd, "short", 5), 5);
  char* before = static_cast<char*>(OM_SYS(mmap(nullptr, 12288, PROT_READ, MAP_PRIVATE, fd, 0)));
  expect_bus_error(before + 8192);
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_EQ(before[0], 's');
  OM_CHECK_EQ(before[100], 0);
  expect_bus_error(before + 4096 + 17);
  char* after = static_cast<char*>(OM_SYS(mmap(nullptr, 12288, PROT_READ, MAP_PRIVATE, fd, 0)));
  OM_CHECK_EQ(after[4], 't');
  expect_bus_error(after + 5000);
}
