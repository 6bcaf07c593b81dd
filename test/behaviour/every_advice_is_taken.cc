// SPDX-License-Identifier: Apache-2.0
//
// madvise() with every advice that there is, and some that are not, on anonymous memory, a private file mapping, a
// hole and memory of odd length: the same results as natively, and what must stay stays. Also posix_madvise(),
// msync() and mincore().
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

constexpr size_t kPage = 4096, kPages = 8;
constexpr int kDontNeed = 4, kFree = 8, kRemove = 9, kDontFork = 10, kMergeable = 12,
              kUnmergeable = 13, kWipeOnFork = 18, kDontNeedLocked = 24, kCollapse = 25,
              kPoison = 100, kOffline = 101, kGuard = 102;

static bool keeps(int advice) {
  return advice != kDontNeed && advice != kFree && advice != kRemove && advice != kDontNeedLocked &&
         advice != kGuard;
}

static int advise(void* at, size_t bytes, int advice) {
  const int result = madvise(at, bytes, advice) == 0 ? 0 : errno;
  // It depends on how much the kernel has free.
  return advice == kCollapse && (result == EAGAIN || result == ENOMEM || result == EBUSY) ? 0
                                                                                          : result;
}

static char* anonymous() {
  void* map = OM_SYS(
      mmap(nullptr, kPages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  for (size_t i = 0; i < kPages; ++i) static_cast<char*>(map)[i * kPage] = static_cast<char>(i + 1);
  return static_cast<char*>(map);
}

static void check(int advice, int fd) {
  char* memory = anonymous();
  const int plain = advise(memory + kPage, 4 * kPage, advice);
  for (size_t i = 0; i < kPages && keeps(advice); ++i) OM_CHECK_EQ(memory[i * kPage], i + 1);
  OM_CHECK_EQ(memory[0], 1);
  OM_CHECK_EQ(memory[5 * kPage], 6);
  if (plain == 0 && (advice == kDontNeed || advice == kDontNeedLocked))
    OM_CHECK_EQ(memory[2 * kPage], 0);
  if (plain == 0 && advice == kWipeOnFork) {
    const pid_t child = OM_SYS(fork());
    if (child == 0) _exit(memory[2 * kPage] == 0 && memory[5 * kPage] == 6 ? 0 : 1);
    om_test_join(child);
  }
  if (plain == 0 && advice == kDontFork) {
    const pid_t child = OM_SYS(fork());
    if (child == 0) {
      unsigned char vec;
      _exit(mincore(memory + 2 * kPage, kPage, &vec) != 0 && errno == ENOMEM ? 0 : 1);
    }
    om_test_join(child);
  }
  OM_SYS(munmap(memory, kPages * kPage));
  void* map = OM_SYS(mmap(nullptr, kPages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
  char* file = static_cast<char*>(map);
  file[2 * kPage] = 'W';
  const int on_file = advise(file + kPage, 4 * kPage, advice);
  if (keeps(advice)) OM_CHECK_EQ(file[2 * kPage], 'W');
  if (on_file == 0 && advice == kDontNeed) OM_CHECK_EQ(file[2 * kPage], 'f');
  OM_CHECK_EQ(file[6 * kPage], 'f');
  OM_SYS(munmap(file + 3 * kPage, kPage));
  const int hole = advise(file, kPages * kPage, advice), odd = advise(file + 8, kPage, advice),
            none = advise(file, 0, advice);
  OM_SYS(munmap(file, kPages * kPage));
  printf("%d: %d %d %d %d %d\n", advice, plain, on_file, hole, odd, none);
}

int main() {
  const int fd = OM_SYS(open("mapped", O_RDWR | O_CREAT, 0600));
  char page[kPage];
  memset(page, 'f', sizeof page);
  for (size_t i = 0; i < kPages; ++i) OM_CHECK_EQ(write(fd, page, sizeof page), kPage);
  char* merged = anonymous();
  char* kept = anonymous();
  OM_SYS(madvise(kept, kPages * kPage, MADV_DONTDUMP));
  om_test_ready();
  om_test_wait_moved();
  // First those that need no way home.
  for (const int advice : {0, 1, 2, 3, 4, 8, 11, 14, 15, 16, 17, 19, 20, 21, 22, 23})
    check(advice, fd);
  printf("%d\n", advise(merged, kPages * kPage, kMergeable));
  printf("%d\n", advise(merged, kPages * kPage, kUnmergeable));
  OM_CHECK_EQ(posix_madvise(merged, kPage, POSIX_MADV_DONTNEED), 0);
  OM_CHECK_EQ(merged[0], 1);
  OM_SYS(msync(merged, kPages * kPage, MS_ASYNC));
  OM_CHECK_ERRNO(msync(merged, kPages * kPage, MS_ASYNC | MS_SYNC), EINVAL);
  OM_SYS(munmap(merged + kPage, kPage));
  OM_CHECK_ERRNO(msync(merged, kPages * kPage, MS_SYNC), ENOMEM);
  OmGuarded there(2);
  OM_SYS(mincore(kept, 2 * kPage, reinterpret_cast<unsigned char*>(there.data())));
  OM_CHECK_EQ(there.data()[0] & there.data()[1] & 1, 1);
  for (const int advice : {9, 10, 18, 24, 25, 26, 55, 103, -1}) check(advice, fd);
  if (geteuid() != 0)
    for (const int advice : {kPoison, kOffline}) check(advice, fd);
  for (size_t i = 0; i < kPages; ++i) OM_CHECK_EQ(kept[i * kPage], i + 1);
}
