// SPDX-License-Identifier: Apache-2.0
//
// The commands of ioctl() for files, pipes, sockets, timers, interfaces, random numbers, disks and loop devices, on
// descriptors from before the move: the same results as natively, structures with pointers in them included.
#include "test/lib/om_ioctl.h"
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <linux/random.h>
#include <linux/rtc.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

static int g_file, g_other, g_pipe[2], g_udp, g_timer, g_tcp;

static void any_descriptor() {
  OM_GIVE(g_file, FIOCLEX, 0);
  OM_CHECK_EQ(fcntl(g_file, F_GETFD), FD_CLOEXEC);
  OM_GIVE(g_file, FIONCLEX, 0);
  OM_CHECK_EQ(fcntl(g_file, F_GETFD), 0);
  OM_ASK(g_pipe[0], FIONBIO, 4, 1);
  OM_CHECK_EQ(fcntl(g_pipe[0], F_GETFL) & O_NONBLOCK, O_NONBLOCK);
  OM_ASK(g_pipe[0], FIONBIO, 4, 0);
  OM_CHECK_EQ(fcntl(g_pipe[0], F_GETFL) & O_NONBLOCK, 0);
  signal(SIGIO, SIG_IGN);
  OM_ASK(g_udp, FIOASYNC, 4, 1);
  OM_CHECK_EQ(fcntl(g_udp, F_GETFL) & O_ASYNC, O_ASYNC);
  OM_ASK(g_udp, FIOASYNC, 4, 0);
  OM_CHECK_EQ(OM_ASK(g_pipe[0], FIONREAD, 4), 5);
  OM_CHECK_EQ(OM_ASK(g_file, FIONREAD, 4), 9000);
  OM_ASK(g_file, FIOQSIZE, 8);
  OM_CHECK(OM_ASK(g_file, FIGETBSZ, 4) > 0);
}

static void files() {
  long flags = OM_ASK(g_file, FS_IOC_GETFLAGS, 4);
  OM_CHECK_EQ(flags & FS_IMMUTABLE_FL, 0);
  OmGuardedOut<int> same;
  *same = static_cast<int>(flags);
  printf("%d\n", ioctl(g_file, FS_IOC_SETFLAGS, &same) == 0 ? 0 : errno);
  OM_ASK(g_file, FS_IOC_GETVERSION, 4);
  if (geteuid() != 0) OM_ASK(g_file, FS_IOC_SETVERSION, 4);
  OmGuardedOut<fsxattr> attributes;
  if (ioctl(g_file, FS_IOC_FSGETXATTR, &attributes) == 0)
    printf("%d\n", ioctl(g_file, FS_IOC_FSSETXATTR, &attributes) == 0 ? 0 : errno);
  else
    printf("%d\n", errno);
  OM_ASK(g_file, FS_IOC_GETFSLABEL, 256);
  if (geteuid() != 0) OM_ASK(g_file, FS_IOC_SETFSLABEL, 256);
  OM_ASK(g_file, 0x80111500, 17);  // FS_IOC_GETFSUUID
  if (geteuid() != 0) OM_ASK(g_file, FIBMAP, 4);
  OM_GIVE(g_other, FICLONE, g_file);
  OmGuardedOut<file_clone_range> range;
  *range = {g_file, 0, 4096, 0};
  printf("%d\n", ioctl(g_other, FICLONERANGE, &range) == 0 ? 0 : errno);
}

static void interfaces() {
  OmGuardedOut<ifreq> r;
  auto on_lo = [&](const char* name, unsigned long command) {
    memset(&r, 0, sizeof(ifreq));
    strcpy(r->ifr_name, "lo");
    errno = 0;
    const int result = ioctl(g_udp, command, &r);
    printf("%s %d %d\n", name, result, errno);
  };
#define OM_ON_LO(command) on_lo(#command, command)
  OM_ON_LO(SIOCGIFFLAGS);
  OM_CHECK((r->ifr_flags & IFF_LOOPBACK) != 0);
  OM_ON_LO(SIOCGIFADDR);
  OM_ON_LO(SIOCGIFNETMASK);
  OM_ON_LO(SIOCGIFDSTADDR);
  OM_ON_LO(SIOCGIFBRDADDR);
  OM_ON_LO(SIOCGIFMETRIC);
  OM_ON_LO(SIOCGIFHWADDR);
  OM_ON_LO(SIOCGIFTXQLEN);
  OM_ON_LO(SIOCGIFMAP);
  OM_ON_LO(SIOCGIFPFLAGS);
  OM_ON_LO(SIOCGIFMTU);
  OM_CHECK(r->ifr_mtu > 1000);
  OM_ON_LO(SIOCGIFINDEX);
  const int index = r->ifr_ifindex;
  memset(&r, 0, sizeof(ifreq));
  r->ifr_ifindex = index;
  OM_SYS(ioctl(g_udp, SIOCGIFNAME, &r));
  OM_CHECK_EQ(static_cast<const char*>(r->ifr_name), "lo");
  strcpy(r->ifr_name, "nothing0");
  OM_CHECK_ERRNO(ioctl(g_udp, SIOCGIFFLAGS, &r), ENODEV);
}

static void sockets() {
  OM_CHECK_EQ(OM_ASK(g_udp, FIONREAD, 4), 3);
  char text[8];
  OM_CHECK_EQ(recv(g_udp, text, sizeof text, 0), 3);
  OM_CHECK(OM_ASK(g_udp, 0x80108906, 16) != 0);  // SIOCGSTAMP_NEW
  OM_CHECK(OM_ASK(g_udp, 0x80108907, 16) != 0);  // SIOCGSTAMPNS_NEW
  OM_CHECK(OM_ASK(g_udp, 0x8906, 16) != 0);      // SIOCGSTAMP_OLD
  OM_CHECK(OM_ASK(g_udp, 0x8907, 16) != 0);      // SIOCGSTAMPNS_OLD
  OmGuardedOut<int> owner;
  *owner = getpid();
  OM_SYS(ioctl(g_udp, FIOSETOWN, &owner));
  OM_CHECK_EQ(OM_ASK(g_udp, FIOGETOWN, 4), getpid());
  *owner = -getpgrp();
  OM_SYS(ioctl(g_udp, SIOCSPGRP, &owner));
  OM_CHECK_EQ(static_cast<int>(OM_ASK(g_udp, SIOCGPGRP, 4)), -getpgrp());
  OM_ASK(g_tcp, SIOCATMARK, 4);
  OM_ASK(g_tcp, SIOCOUTQ, 4);
  OM_ASK(g_tcp, SIOCOUTQNSD, 4);
}

static void devices() {
  OmGuardedOut<uint64_t> ticks;
  *ticks = 3;
  const int set = ioctl(g_timer, _IOW('T', 0, uint64_t), &ticks);  // TFD_IOC_SET_TICKS
  if (set == 0) {
    OM_CHECK_EQ(read(g_timer, &ticks, 8), 8);
    OM_CHECK_EQ(*ticks, 3);
  } else {
    OM_CHECK_EQ(errno, ENOTTY);
  }
  const int random = OM_SYS(open("/dev/urandom", O_RDONLY));
  OM_CHECK(OM_ASK(random, RNDGETENTCNT, 4) > 0);
  close(random);
  // No disk and no clock: ENOTTY, whatever is asked.
  const unsigned long commands[] = {BLKROGET,
                                    BLKGETSIZE,
                                    BLKRAGET,
                                    BLKFRAGET,
                                    BLKSECTGET,
                                    BLKSSZGET,
                                    BLKIOMIN,
                                    BLKIOOPT,
                                    BLKALIGNOFF,
                                    BLKPBSZGET,
                                    BLKDISCARDZEROES,
                                    BLKROTATIONAL,
                                    BLKBSZGET,
                                    BLKGETSIZE64,
                                    0x80041284ul /* BLKGETZONESZ */,
                                    0x80041285ul /* BLKGETNRZONES */,
                                    0x80081280ul /* BLKGETDISKSEQ */,
                                    RTC_RD_TIME};
  for (const unsigned long command : commands) om_ask("disk", g_file, command, 256);
  om_give("BLKFLSBUF", g_file, BLKFLSBUF, 0);
}

// With pointers inside: at home.
static void with_pointers() {
  char list[4 * sizeof(ifreq)];
  OmGuardedOut<ifconf> all;
  all->ifc_len = sizeof list;
  all->ifc_buf = list;
  OM_SYS(ioctl(g_udp, SIOCGIFCONF, &all));
  OM_CHECK(all->ifc_len >= static_cast<int>(sizeof(ifreq)));
  OM_CHECK_EQ(static_cast<const char*>(reinterpret_cast<ifreq*>(list)->ifr_name), "lo");
  OmGuarded map(sizeof(fiemap) + 4 * sizeof(fiemap_extent));
  memset(map.data(), 0, sizeof(fiemap) + 4 * sizeof(fiemap_extent));
  auto* m = map.as<fiemap>();
  m->fm_length = ~uint64_t{0};
  m->fm_flags = FIEMAP_FLAG_SYNC;
  m->fm_extent_count = 4;
  errno = 0;
  const int mapped = ioctl(g_file, FS_IOC_FIEMAP, m);
  printf("FIEMAP %d %d %u\n", mapped, errno, m->fm_mapped_extents);
  uint32_t command[64] = {1};  // ETHTOOL_GSET
  ifreq r{};
  strcpy(r.ifr_name, "lo");
  r.ifr_data = reinterpret_cast<char*>(command);
  errno = 0;
  const int tool = ioctl(g_udp, SIOCETHTOOL, &r);
  printf("ETHTOOL %d %d\n", tool, errno);
  OM_ASK(g_file, LOOP_GET_STATUS64, sizeof(loop_info64));
  OM_ASK(g_file, FITRIM, sizeof(fstrim_range));
  OM_ASK(g_file, FIFREEZE, 4);
  const int control = open("/dev/loop-control", O_RDWR);
  if (control < 0) {
    printf("no loop devices\n");
  } else {
    OM_CHECK(ioctl(control, LOOP_CTL_GET_FREE) >= 0 || errno == EPERM);
  }
}

int main() {
  g_file = OM_SYS(open("file", O_RDWR | O_CREAT, 0600));
  g_other = OM_SYS(open("other", O_RDWR | O_CREAT, 0600));
  static char data[9000];
  OM_CHECK_EQ(pwrite(g_file, data, sizeof data, 0), 9000);
  OM_SYS(pipe(g_pipe));
  OM_CHECK_EQ(write(g_pipe[1], "12345", 5), 5);
  g_udp = OM_SYS(socket(AF_INET, SOCK_DGRAM, 0));
  g_tcp = OM_SYS(socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in self{};
  self.sin_family = AF_INET;
  self.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t bytes = sizeof self;
  OM_SYS(bind(g_udp, reinterpret_cast<sockaddr*>(&self), sizeof self));
  OM_SYS(getsockname(g_udp, reinterpret_cast<sockaddr*>(&self), &bytes));
  OM_SYS(sendto(g_udp, "udp", 3, 0, reinterpret_cast<sockaddr*>(&self), sizeof self));
  g_timer = OM_SYS(timerfd_create(CLOCK_MONOTONIC, 0));
  const itimerspec far{{0, 0}, {1000, 0}};
  OM_SYS(timerfd_settime(g_timer, 0, &far, nullptr));
  om_test_ready();
  om_test_wait_moved();
  any_descriptor();
  files();
  interfaces();
  sockets();
  devices();
  with_pointers();
}
