// SPDX-License-Identifier: Apache-2.0
//
// /proc/self/mem and pagemap, opened before the first move, show the memory that the program has after each: by read,
// pread, readv, preadv, preadv2; what is written by write, pwrite and their kind is there.
// om-points: each
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>

static char* g_page;
static int g_mem, g_pagemap;

static off_t place() { return static_cast<off_t>(reinterpret_cast<uintptr_t>(g_page)); }

static ssize_t transfer(int how, char* text, bool writes) {
  iovec part{text, 8};
  switch (how) {
    case 0:
      OM_CHECK_EQ(lseek(g_mem, place(), SEEK_SET), place());
      return writes ? write(g_mem, text, 8) : read(g_mem, text, 8);
    case 1:
      return writes ? pwrite(g_mem, text, 8, place()) : pread(g_mem, text, 8, place());
    case 2:
      OM_CHECK_EQ(lseek(g_mem, place(), SEEK_SET), place());
      return writes ? writev(g_mem, &part, 1) : readv(g_mem, &part, 1);
    case 3:
      return writes ? pwritev(g_mem, &part, 1, place()) : preadv(g_mem, &part, 1, place());
    default:
      return writes ? pwritev2(g_mem, &part, 1, place(), 0) : preadv2(g_mem, &part, 1, place(), 0);
  }
}

static void move() {
  om_test_ready();
  om_test_wait_moved();
}

static void check_read(int how) {
  char text[8] = {};
  memset(g_page, 'a' + how, 8);
  OM_CHECK_EQ(transfer(how, text, false), 8);
  OM_CHECK(memcmp(text, g_page, 8) == 0 && text[7] == 'a' + how);
}

static void check_write(int how) {
  char text[8];
  memset(text, 'A' + how, 8);
  OM_CHECK_EQ(transfer(how, text, true), 8);
  OM_CHECK(g_page[0] == 'A' + how && g_page[7] == 'A' + how && g_page[8] == 0);
}

int main() {
  void* map =
      OM_SYS(mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  g_page = static_cast<char*>(map);
  g_mem = OM_SYS(open("/proc/self/mem", O_RDWR));
  g_pagemap = OM_SYS(open("/proc/thread-self/pagemap", O_RDONLY));
  // The first transfer after each move is one that may be away.
  move();
  for (int how = 0; how < 5; ++how) check_read(how);
  move();
  for (int how = 4; how >= 0; --how) check_write(how);
  move();
  g_page[4096] = 1;
  uint64_t entry = 0;
  OM_CHECK_EQ(pread(g_pagemap, &entry, 8, (place() / 4096 + 1) * 8), 8);
  OM_CHECK((entry >> 62) != 0);  // there, or swapped out
}
