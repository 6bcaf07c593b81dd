// SPDX-License-Identifier: Apache-2.0
//
// A mapping made with MAP_GROWSDOWN grows when the page below it is touched, before and after the move, and keeps what
// is in it.
#include "test/lib/om_test.h"

#include <sys/mman.h>

constexpr int kPages = 64;

int main() {
  const size_t room = size_t{64} << 20;
  const int how = MAP_PRIVATE | MAP_ANONYMOUS;
  auto* hole = static_cast<char*>(OM_SYS(mmap(nullptr, room, PROT_NONE, how, -1, 0)));
  OM_SYS(munmap(hole, room));
  char* top = hole + room - 4096;
  void* map = OM_SYS(
      mmap(top, 4096, PROT_READ | PROT_WRITE, how | MAP_GROWSDOWN | MAP_FIXED_NOREPLACE, -1, 0));
  OM_CHECK_EQ(map, static_cast<void*>(top));
  auto* bytes = reinterpret_cast<volatile unsigned char*>(top);
  for (int i = 1; i <= kPages; ++i) bytes[-4096l * i] = static_cast<unsigned char>(i);
  om_test_ready();
  om_test_wait_moved();
  for (int i = kPages + 1; i <= 2 * kPages; ++i) bytes[-4096l * i] = static_cast<unsigned char>(i);
  for (int i = 1; i <= 2 * kPages; ++i)
    OM_CHECK_EQ(bytes[-4096l * i], static_cast<unsigned char>(i));
}
