// SPDX-License-Identifier: Apache-2.0
//
// errno of one thread is not touched by failing calls of another one, before and after the move.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <atomic>

static std::atomic<bool> g_moved{false};

static void fail_always(const char* path, int want) {
  for (int i = 0; i < 2000 || !g_moved; ++i) {
    errno = 0;
    OM_CHECK_EQ(open(path, O_RDONLY), -1);
    OM_CHECK_EQ(errno, want);
  }
}

int main() {
  OM_SYS(creat("file", 0600));
  om_test_ready();
  OmThread one([] { fail_always("no such file", ENOENT); });
  OmThread two([] { fail_always("file/below", ENOTDIR); });
  OmThread three([] {
    errno = EDOM;
    while (!g_moved) continue;
    OM_CHECK_EQ(errno, EDOM);
  });
  om_test_wait_moved();
  g_moved = true;
}
