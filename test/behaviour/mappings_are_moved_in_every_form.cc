// SPDX-License-Identifier: Apache-2.0
//
// mremap() after the move of anonymous memory and of a private file mapping: parts of a mapping, over others, leaving
// the old range behind (MREMAP_DONTUNMAP), growing and shrinking at both, and every refusal.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

constexpr size_t kPage = 4096;
constexpr int kDontUnmap = 4;  // MREMAP_DONTUNMAP

static char* anonymous(size_t pages, char fill) {
  void* at = OM_SYS(
      mmap(nullptr, pages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  for (size_t i = 0; i < pages && fill != 0; ++i)
    static_cast<char*>(at)[i * kPage] = static_cast<char>(fill + i);
  return static_cast<char*>(at);
}

static char* move(char* from, size_t pages, size_t to_pages, int flags, char* to = nullptr) {
  void* at = mremap(from, pages * kPage, to_pages * kPage, flags, to);
  return at == MAP_FAILED ? nullptr : static_cast<char*>(at);
}

static bool mapped(char* at) {
  unsigned char vec;
  return mincore(at, kPage, &vec) == 0;
}

static void check_anonymous(char* memory) {
  // The middle goes elsewhere and leaves a hole.
  char* room = anonymous(16, 0);
  OM_CHECK(move(memory + 2 * kPage, 2, 2, MREMAP_MAYMOVE | MREMAP_FIXED, room) == room);
  OM_CHECK_EQ(room[0], 'a' + 2);
  OM_CHECK_EQ(room[kPage], 'a' + 3);
  OM_CHECK(!mapped(memory + 2 * kPage) && !mapped(memory + 3 * kPage));
  OM_CHECK_EQ(memory[4 * kPage], 'a' + 4);
  // Back into the hole, and one page over what is behind it.
  OM_CHECK(move(room, 2, 3, MREMAP_MAYMOVE | MREMAP_FIXED, memory + 2 * kPage) ==
           memory + 2 * kPage);
  OM_CHECK_EQ(memory[3 * kPage], 'a' + 3);
  OM_CHECK_EQ(memory[4 * kPage], 0);
  // The contents go, the range stays, as zeros.
  char* copy = move(memory, 2, 2, MREMAP_MAYMOVE | kDontUnmap);
  if (copy != nullptr) {
    OM_CHECK_EQ(copy[kPage], 'a' + 1);
    OM_CHECK_EQ(memory[0], 0);
    OM_CHECK_EQ(memory[kPage], 0);
    memory[kPage] = 'z';
    OM_CHECK_EQ(copy[kPage], 'a' + 1);
    char* to = room + 8 * kPage;
    OM_CHECK(move(copy, 1, 1, MREMAP_MAYMOVE | MREMAP_FIXED | kDontUnmap, to) == to);
    OM_CHECK_EQ(to[0], 'a');
    OM_CHECK_EQ(copy[0], 0);
    OM_CHECK(move(copy, 1, 2, MREMAP_MAYMOVE | kDontUnmap) == nullptr && errno == EINVAL);
  }
}

static void check_refusals(char* memory) {
  auto refused = [&](int error, char* from, size_t pages, size_t to_pages, int flags, char* to) {
    OM_CHECK(move(from, pages, to_pages, flags, to) == nullptr);
    OM_CHECK_EQ(errno, error);
  };
  refused(EINVAL, memory + 1, 1, 1, MREMAP_MAYMOVE, nullptr);
  refused(EINVAL, memory, 1, 0, MREMAP_MAYMOVE, nullptr);
  refused(EINVAL, memory, 1, 1, MREMAP_FIXED, memory + 8 * kPage);
  refused(EINVAL, memory, 4, 4, MREMAP_MAYMOVE | MREMAP_FIXED, memory + 2 * kPage);
  refused(EINVAL, memory, 1, 1, MREMAP_MAYMOVE | MREMAP_FIXED, memory + 100);
  refused(EINVAL, memory, 1, 1, 1 << 10, nullptr);
  refused(EINVAL, memory, 0, 1, MREMAP_MAYMOVE, nullptr);  // a second view, of shared memory only
  char* gone = anonymous(2, 0);
  OM_SYS(munmap(gone, 2 * kPage));
  refused(EFAULT, gone, 1, 2, MREMAP_MAYMOVE, nullptr);
  // Over a border within the range.
  char* two = anonymous(2, 'x');
  OM_SYS(mprotect(two, kPage, PROT_READ));
  refused(EFAULT, two, 2, 4, MREMAP_MAYMOVE, nullptr);
  OM_CHECK_EQ(two[kPage], 'y');
}

static void check_file(char* file) {
  file[kPage] = 'M';  // one page is the program's own
  // What is left behind is the file again.
  char* copy = move(file, 2, 2, MREMAP_MAYMOVE | kDontUnmap);
  if (copy != nullptr) {
    OM_CHECK_EQ(copy[0], 'a');
    OM_CHECK_EQ(copy[kPage], 'M');
    OM_CHECK_EQ(file[0], 'a');
    OM_CHECK_EQ(file[kPage], 'b');
  }
  char* away = move(file + 2 * kPage, 2, 2, MREMAP_MAYMOVE | MREMAP_FIXED, anonymous(4, 0));
  OM_CHECK(away != nullptr);
  OM_CHECK_EQ(away[0], 'c');
  OM_CHECK_EQ(away[kPage], 'd');
  OM_CHECK(!mapped(file + 2 * kPage));
  char* smaller = move(file + 4 * kPage, 2, 1, 0);
  OM_CHECK(smaller == file + 4 * kPage);
  OM_CHECK(!mapped(file + 5 * kPage));
  char* larger = move(smaller, 1, 2, MREMAP_MAYMOVE);
  OM_CHECK(larger != nullptr);
  OM_CHECK_EQ(larger[0], 'e');
  OM_CHECK_EQ(larger[kPage], 'f');
}

int main() {
  const int fd = OM_SYS(open("mapped", O_RDWR | O_CREAT, 0600));
  char page[kPage];
  for (int i = 0; i < 6; ++i) {
    memset(page, 'a' + i, sizeof page);
    OM_CHECK_EQ(write(fd, page, sizeof page), kPage);
  }
  void* file = OM_SYS(mmap(nullptr, 6 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
  char *memory = anonymous(8, 'a'), *other = anonymous(16, 'A');
  om_test_ready();
  om_test_wait_moved();
  check_anonymous(memory);
  check_file(static_cast<char*>(file));
  check_refusals(other);
  for (size_t i = 0; i < 16; ++i) OM_CHECK_EQ(other[i * kPage], static_cast<char>('A' + i));
}
