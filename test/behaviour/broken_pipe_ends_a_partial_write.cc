// SPDX-License-Identifier: Apache-2.0
//
// A write that a named pipe has taken a part of ends when the last reader goes: the part is its answer, and SIGPIPE
// comes all the same, as it does for the next write.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vector>

static volatile sig_atomic_t signals;

static void count(int) { signals = signals + 1; }

int main() {
  struct sigaction action = {};
  action.sa_handler = count;
  OM_SYS(sigaction(SIGPIPE, &action, nullptr));
  OM_SYS(mkfifo("fifo", 0600));
  const int from = OM_SYS(open("fifo", O_RDONLY | O_NONBLOCK));
  const int to = OM_SYS(open("fifo", O_WRONLY));
  const int size = OM_SYS(fcntl(to, F_GETPIPE_SZ));
  OmThread writer([&] {
    std::vector<char> bytes(static_cast<size_t>(size) * 2);
    om_test_ready_blocking("write");
    OM_CHECK_EQ(write(to, bytes.data(), bytes.size()), size);
    OM_CHECK_EQ(signals, 1);
    OM_CHECK_ERRNO(write(to, bytes.data(), bytes.size()), EPIPE);
    OM_CHECK_EQ(signals, 2);
  });
  om_test_wait_moved();
  OM_SYS(close(from));
  writer.join();
}
