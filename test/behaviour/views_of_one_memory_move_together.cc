// SPDX-License-Identifier: Apache-2.0
//
// Code is written through one mapping of a memfd and executed through another, as compilers at run time do; the memfd
// is closed. Both move together, wherever it is.
// om-points: moves
// om-stays: away
#include "test/lib/om_test.h"

#include <string.h>
#include <sys/mman.h>

int main() {
  constexpr size_t kBytes = 4 * 4096;
  int fd = OM_SYS(memfd_create("code", 0));
  OM_SYS(ftruncate(fd, kBytes));
  auto* writable = static_cast<unsigned char*>(
      OM_SYS(mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)));
  void* view = mmap(nullptr, kBytes, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
  if (view == MAP_FAILED) om_test_skip("memfds cannot be executed here");
  auto* runnable = static_cast<unsigned char*>(view);
  OM_SYS(close(fd));
  auto answer = [&](size_t at, int value) {
    // mov eax, value; ret
    const unsigned char code[6] = {0xb8, static_cast<unsigned char>(value), 0, 0, 0, 0xc3};
    memcpy(writable + at, code, sizeof code);
  };
  auto call = [&](size_t at) { return reinterpret_cast<int (*)()>(runnable + at)(); };
  answer(0, 7);
  const int points = om_test_moves() > 1 ? om_test_moves() : 1;
  for (int i = 0; i < points; ++i) {
    om_test_ready();
    om_test_wait_moved();
    OM_CHECK_EQ(call(0), 7);
    if (i > 0) OM_CHECK_EQ(call(4096), 20 + i - 1);
    answer(4096, 20 + i);
    OM_CHECK_EQ(call(4096), 20 + i);
    OM_CHECK_EQ(runnable[8192], 0);
  }
}
