// SPDX-License-Identifier: Apache-2.0
//
// PR_SET_MDWE from before the move: no memory can be made executable, none is mapped writable and executable, wherever
// the program runs; everything else can be mapped and protected as before.
// om-points: moves
#include "test/lib/om_test.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>

constexpr int kSetMdwe = 65, kGetMdwe = 66;  // PR_SET_MDWE, PR_GET_MDWE, Linux 6.3
constexpr size_t kBytes = 8192;

static void* map(int prot, int fd = -1) {
  return mmap(nullptr, kBytes, prot, MAP_PRIVATE | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);
}

int main() {
  const int fd = OM_SYS(open("/proc/self/exe", O_RDONLY));
  char* memory = static_cast<char*>(OM_SYS(map(PROT_READ | PROT_WRITE)));
  memory[5] = 5;
  if (prctl(kSetMdwe, 1, 0, 0, 0) != 0) om_test_skip("no PR_SET_MDWE");
  const int points = om_test_moves() > 0 ? om_test_moves() : 1;
  for (int i = 0; i < points; ++i) {
    om_test_ready();
    om_test_wait_moved();
    if (i % 2 == 0) {
      OM_CHECK_ERRNO(mprotect(memory, 4096, PROT_READ | PROT_EXEC), EACCES);
      OM_CHECK(map(PROT_READ | PROT_WRITE | PROT_EXEC) == MAP_FAILED && errno == EACCES);
    } else {
      OM_CHECK(map(PROT_READ | PROT_WRITE | PROT_EXEC) == MAP_FAILED && errno == EACCES);
      OM_CHECK_ERRNO(mprotect(memory, 4096, PROT_EXEC), EACCES);
    }
    OM_SYS(mprotect(memory, 4096, PROT_READ));
    OM_CHECK_EQ(memory[5], 5);
    OM_SYS(mprotect(memory, 4096, PROT_READ | PROT_WRITE));
    void* code = OM_SYS(map(PROT_READ | PROT_EXEC, fd));
    OM_SYS(mprotect(code, 4096, PROT_READ | PROT_EXEC));  // it is already
    OM_SYS(munmap(code, kBytes));
    OM_CHECK_EQ(prctl(kGetMdwe, 0, 0, 0, 0), 1);
  }
}
