// SPDX-License-Identifier: Apache-2.0
//
// termios, window size, foreground group, queue length and name of a terminal, through its ioctls.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>

int main() {
  int master = OM_SYS(posix_openpt(O_RDWR | O_NOCTTY));
  OM_SYS(grantpt(master));
  OM_SYS(unlockpt(master));
  int slave = OM_SYS(open(ptsname(master), O_RDWR));  // becomes the controlling terminal
  termios raw{};
  OM_SYS(tcgetattr(slave, &raw));
  cfmakeraw(&raw);
  raw.c_cc[VMIN] = 3;
  OM_SYS(tcsetattr(slave, TCSANOW, &raw));
  winsize window{40, 120, 0, 0};
  OM_SYS(ioctl(slave, TIOCSWINSZ, &window));
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_EQ(isatty(slave), 1);
  OM_CHECK_EQ(isatty(0), 0);
  OmGuardedOut<termios> now;
  OM_SYS(tcgetattr(slave, &now));
  OM_CHECK_EQ(now->c_lflag, raw.c_lflag);
  OM_CHECK_EQ(now->c_cc[VMIN], 3);
  OmGuardedOut<winsize> seen;
  OM_SYS(ioctl(master, TIOCGWINSZ, &seen));
  OM_CHECK_EQ(seen->ws_row, 40);
  OM_CHECK_EQ(seen->ws_col, 120);
  OM_CHECK_EQ(tcgetpgrp(slave), getpgrp());
  OM_CHECK_EQ(tcgetsid(slave), getsid(0));
  char name[64], text[8];
  OM_CHECK_EQ(ttyname_r(slave, name, sizeof name), 0);
  OM_CHECK_EQ(static_cast<const char*>(name), ptsname(master));
  OM_CHECK_EQ(write(master, "abcde", 5), 5);
  int queued = 0;
  int64_t start = om_test_ns();
  while (queued != 5) {  // the line discipline gets the bytes a little later
    OM_SYS(ioctl(slave, FIONREAD, &queued));
    OM_CHECK(om_test_ns() - start < 20 * kSecond);
  }
  OM_SYS(tcflush(slave, TCIFLUSH));
  OM_SYS(ioctl(slave, FIONREAD, &queued));
  OM_CHECK_EQ(queued, 0);
  OM_CHECK_EQ(write(master, "xyz", 3), 3);
  OM_CHECK_EQ(read(slave, text, sizeof text), 3);
  raw.c_oflag = OPOST | ONLCR;
  OM_SYS(tcsetattr(slave, TCSADRAIN, &raw));
  OM_CHECK_EQ(write(slave, "\n", 1), 1);
  OM_CHECK_EQ(read(master, text, 1), 1);
  OM_CHECK_EQ(read(master, text + 1, 1), 1);
  OM_CHECK(memcmp(text, "\r\n", 2) == 0);
}
