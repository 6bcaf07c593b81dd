// SPDX-License-Identifier: Apache-2.0
//
// Pages of a private mapping that were written to are gone when the file is cut off before them, and those before
// its new end stay.
// om-points: 2
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static constexpr size_t kPage = 4096;

// How a child ends that reads from `at`: 0 if it finds `want`.
static int child_that_reads(volatile char* at, char want) {
  const pid_t child = OM_SYS(fork());
  if (child == 0) _exit(*at == want ? 0 : 1);
  int status;
  OM_CHECK_EQ(waitpid(child, &status, 0), child);
  return status;
}

int main() {
  const int file = OM_SYS(open("data", O_RDWR | O_CREAT | O_TRUNC, 0600));
  OM_SYS(ftruncate(file, 3 * kPage));
  auto* map =
      static_cast<char*>(mmap(nullptr, 3 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0));
  OM_CHECK(map != MAP_FAILED);
  memset(map, 'a', 3 * kPage);
  om_test_ready();
  om_test_wait_moved();
  memset(map + kPage, 'b', 2 * kPage);
  OM_SYS(ftruncate(file, kPage));
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_EQ(child_that_reads(map, 'a'), 0);
  const int status = child_that_reads(map + kPage, 'b');
  OM_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
}
