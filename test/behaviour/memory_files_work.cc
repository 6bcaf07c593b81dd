// SPDX-License-Identifier: Apache-2.0
//
// memfd_create before and after the move: contents, size, seals, name, and a private mapping of it.
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <string>

constexpr int kSealExec = 0x20;  // F_SEAL_EXEC, which vm.memfd_noexec may have set

int main() {
  int before = OM_SYS(memfd_create("before", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  OM_CHECK_EQ(write(before, "in memory", 9), 9);
  om_test_ready();
  om_test_wait_moved();
  char text[16];
  OM_CHECK_EQ(pread(before, text, sizeof text, 0), 9);
  OM_CHECK(memcmp(text, "in memory", 9) == 0);
  OM_SYS(fcntl(before, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK));
  const int seals = OM_SYS(fcntl(before, F_GET_SEALS));
  OM_CHECK_EQ(seals & ~kSealExec, F_SEAL_WRITE | F_SEAL_SHRINK);
  OM_CHECK_ERRNO(pwrite(before, "x", 1, 0), EPERM);
  OM_CHECK_ERRNO(ftruncate(before, 1), EPERM);
  int after = OM_SYS(memfd_create("after", 0));
  OM_SYS(ftruncate(after, 10000));
  OM_CHECK_EQ(pwrite(after, "far", 3, 9000), 3);
  void* map = OM_SYS(mmap(nullptr, 10000, PROT_READ | PROT_WRITE, MAP_PRIVATE, after, 0));
  OM_CHECK(memcmp(static_cast<char*>(map) + 9000, "far", 3) == 0);
  OM_CHECK_EQ(static_cast<char*>(map)[0], 0);
  char link[64] = {};
  OM_SYS(readlink(("/proc/self/fd/" + std::to_string(after)).c_str(), link, sizeof link));
  OM_CHECK_EQ(static_cast<const char*>(link), "/memfd:after (deleted)");
}
