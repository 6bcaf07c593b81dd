// SPDX-License-Identifier: Apache-2.0
//
// Every command of a terminal, on both ends of a pseudo-terminal from before the move: settings in all their forms,
// lock, packet mode, groups and sessions, flow, breaks, queues; what a pseudo-terminal refuses has the kernel's errno.
#include "test/lib/om_ioctl.h"
#include "test/lib/om_test.h"

#include <asm/termbits.h>
#include <fcntl.h>
#include <linux/hdreg.h>
#include <linux/kd.h>
#include <linux/serial.h>
#include <linux/vt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

static int g_master, g_slave;

static void settings() {
  OmGuardedOut<termios2> full;
  OM_SYS(ioctl(g_slave, TCGETS2, &full));
  full->c_cflag = (full->c_cflag & ~static_cast<unsigned>(CBAUD)) | BOTHER;
  full->c_ospeed = full->c_ispeed = 12345;
  OM_SYS(ioctl(g_slave, TCSETS2, &full));
  full->c_cc[VMIN] = 7;
  OM_SYS(ioctl(g_slave, TCSETSW2, &full));
  full->c_lflag &= ~static_cast<unsigned>(ECHO);
  OM_SYS(ioctl(g_slave, TCSETSF2, &full));
  memset(&full, 0, sizeof(termios2));
  OM_SYS(ioctl(g_slave, TCGETS2, &full));
  OM_CHECK_EQ(full->c_ospeed, 12345);
  OM_CHECK_EQ(full->c_cc[VMIN], 7);
  OM_CHECK_EQ(full->c_lflag & ECHO, 0);
  OmGuardedOut<struct termio> old;
  OM_SYS(ioctl(g_slave, TCGETA, &old));
  old->c_cc[VMIN] = 2;
  OM_SYS(ioctl(g_slave, TCSETA, &old));
  OM_SYS(ioctl(g_slave, TCSETAW, &old));
  OM_SYS(ioctl(g_slave, TCSETAF, &old));
  OmGuardedOut<termios> usual;
  OM_SYS(ioctl(g_slave, TCGETS, &usual));
  OM_CHECK_EQ(usual->c_cc[VMIN], 2);
  for (const unsigned long how : {TCSETS, TCSETSW, TCSETSF}) OM_SYS(ioctl(g_slave, how, &usual));
  OM_SYS(ioctl(g_slave, TIOCGLCKTRMIOS, &usual));
  OM_CHECK_EQ(usual->c_lflag, 0);
  OM_ASK(g_slave, TIOCSLCKTRMIOS, sizeof(termios));
}

static void pair() {
  OM_CHECK_EQ(OM_ASK(g_master, TIOCGPTLCK, 4), 0);
  OM_ASK(g_master, TIOCSPTLCK, 4);
  char path[64], name[64];
  snprintf(path, sizeof path, "/dev/pts/%ld", OM_ASK(g_master, TIOCGPTN, 4));
  OM_CHECK_EQ(ptsname_r(g_master, name, sizeof name), 0);
  OM_CHECK_EQ(static_cast<const char*>(path), static_cast<const char*>(name));
  const int peer = static_cast<int>(OM_SYS(ioctl(g_master, TIOCGPTPEER, O_RDWR | O_NOCTTY)));
  OM_CHECK_EQ(isatty(peer), 1);
  close(peer);
  OM_CHECK(OM_ASK(g_slave, TIOCGDEV, 4) != 0);
  const int on = 1, off = 0;
  OM_SYS(ioctl(g_master, TIOCPKT, &on));
  OM_CHECK_EQ(OM_ASK(g_master, TIOCGPKT, 4), 1);
  OM_CHECK_EQ(write(g_slave, "p", 1), 1);
  char packet[4] = {9, 9, 9, 9};
  do {  // changes of settings are told first
    OM_CHECK(read(g_master, packet, sizeof packet) >= 1);
  } while (packet[0] != TIOCPKT_DATA);
  OM_CHECK_EQ(packet[1], 'p');
  OM_SYS(ioctl(g_master, TIOCPKT, &off));
  OM_GIVE(g_slave, TIOCEXCL, 0);
  OM_CHECK_EQ(OM_ASK(g_slave, TIOCGEXCL, 4), 1);
  OM_GIVE(g_slave, TIOCNXCL, 0);
}

static void jobs() {
  OM_CHECK_EQ(OM_ASK(g_slave, TIOCGPGRP, 4), getpgrp());
  OM_CHECK_EQ(OM_ASK(g_slave, TIOCGSID, 4), getsid(0));
  OmGuardedOut<pid_t> group;
  *group = getpgrp();
  OM_SYS(ioctl(g_slave, TIOCSPGRP, &group));
  *group = 1;
  OM_CHECK(ioctl(g_slave, TIOCSPGRP, &group) == -1);
  signal(SIGWINCH, SIG_IGN);
  OmGuardedOut<winsize> size;
  *size = {11, 22, 33, 44};
  OM_SYS(ioctl(g_master, TIOCSWINSZ, &size));
  *size = {};
  OM_SYS(ioctl(g_slave, TIOCGWINSZ, &size));
  OM_CHECK(size->ws_row == 11 && size->ws_ypixel == 44);
  OM_GIVE(g_slave, TIOCSCTTY, 0);  // it is already
  OM_GIVE(g_master, TIOCSIG, SIGWINCH);
  OM_GIVE(g_master, TIOCSIG, 99);
  OM_ASK(g_slave, TIOCSTI, 1, 'i');
}

static void flow() {
  for (const int action : {TCOOFF, TCOON, TCIOFF, TCION, 99}) OM_GIVE(g_slave, TCXONC, action);
  for (const int queue : {TCIFLUSH, TCOFLUSH, TCIOFLUSH, 99}) OM_GIVE(g_slave, TCFLSH, queue);
  OM_GIVE(g_slave, TCSBRK, 1);
  OM_GIVE(g_slave, TCSBRKP, 1);
  OM_GIVE(g_slave, TIOCSBRK, 0);
  OM_GIVE(g_slave, TIOCCBRK, 0);
  OM_CHECK_EQ(OM_ASK(g_slave, TIOCOUTQ, 4), 0);
  OM_CHECK_EQ(OM_ASK(g_slave, FIONREAD, 4), 0);
  OM_CHECK_EQ(OM_ASK(g_slave, TIOCGETD, 4), 0);
  OM_ASK(g_slave, TIOCSETD, 4);
  OM_ASK(g_slave, TIOCSETD, 4, 0x7f);
  OM_ASK(g_slave, TIOCGSOFTCAR, 4);
  OM_ASK(g_slave, TIOCSSOFTCAR, 4);
}

// Of serial lines, consoles and disks: not of this one.
static void others() {
  OM_ASK(g_slave, TIOCMGET, 4);
  OM_ASK(g_slave, TIOCMBIS, 4);
  OM_ASK(g_slave, TIOCMBIC, 4);
  OM_ASK(g_slave, TIOCMSET, 4);
  OM_GIVE(g_slave, TIOCMIWAIT, 0);
  OM_ASK(g_slave, TIOCGICOUNT, sizeof(serial_icounter_struct));
  OM_ASK(g_slave, TIOCGSERIAL, sizeof(serial_struct));
  OM_ASK(g_slave, TIOCSSERIAL, sizeof(serial_struct));
  OM_ASK(g_slave, TIOCGRS485, sizeof(serial_rs485));
  OM_ASK(g_slave, TIOCSRS485, sizeof(serial_rs485));
  OM_ASK(g_slave, 0x80285442, 40);  // TIOCGISO7816
  OM_ASK(g_slave, 0xc0285443, 40);  // TIOCSISO7816
  OM_ASK(g_slave, TIOCSERGETLSR, 4);
  OM_ASK(g_slave, VT_OPENQRY, 4);
  OM_ASK(g_slave, VT_GETSTATE, sizeof(vt_stat));
  OM_ASK(g_slave, KDGKBTYPE, 1);
  OM_ASK(g_slave, KDGETMODE, 4);
  OM_ASK(g_slave, KDGKBMODE, 4);
  OM_ASK(g_slave, HDIO_GETGEO, sizeof(hd_geometry));
  if (geteuid() != 0) OM_GIVE(g_slave, TIOCCONS, 0);
  OM_ASK(g_slave, 0x12345678, 256);  // no such command
}

int main() {
  g_master = OM_SYS(posix_openpt(O_RDWR | O_NOCTTY));
  OM_SYS(grantpt(g_master));
  OM_SYS(unlockpt(g_master));
  g_slave = OM_SYS(open(ptsname(g_master), O_RDWR));
  om_test_ready();
  om_test_wait_moved();
  settings();
  pair();
  jobs();
  flow();
  others();
  signal(SIGHUP, SIG_IGN);
  OM_GIVE(g_slave, TIOCNOTTY, 0);
  OM_ASK(g_slave, TIOCGPGRP, 4);
  if (geteuid() != 0) OM_GIVE(g_slave, TIOCVHANGUP, 0);
}
