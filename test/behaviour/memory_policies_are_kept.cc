// SPDX-License-Identifier: Apache-2.0
//
// Memory policies of the thread and of a mapping, set before the move, read back after it; setting and asking for
// them works, too, as does asking where pages are.
// om-points: 2
#include "test/lib/om_test.h"

#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/syscall.h>

static int policy_of(void* at, unsigned long* nodes) {
  OmGuardedOut<int> mode;
  OmGuarded mask(128);
  OM_SYS(syscall(SYS_get_mempolicy, &mode, mask.data(), 1024, at, at != nullptr ? MPOL_F_ADDR : 0));
  *nodes = mask.as<unsigned long>()[0];
  return *mode;
}

int main() {
  void* map =
      OM_SYS(mmap(nullptr, 8 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  char* memory = static_cast<char*>(map);
  const unsigned long first = 1;
  if (syscall(SYS_set_mempolicy, MPOL_PREFERRED, &first, 64) != 0)
    om_test_skip("no memory policies");
  OM_SYS(syscall(SYS_mbind, memory, 4 * 4096, MPOL_BIND, &first, 64, 0));
  memory[0] = 1;
  om_test_ready();
  om_test_wait_moved();
  unsigned long nodes = 0;
  OM_CHECK_EQ(policy_of(nullptr, &nodes), MPOL_PREFERRED);
  OM_CHECK_EQ(nodes, 1);
  OM_CHECK_EQ(policy_of(memory, &nodes), MPOL_BIND);
  OM_CHECK_EQ(policy_of(memory + 4 * 4096, &nodes), MPOL_DEFAULT);  // none of its own
  OM_SYS(syscall(SYS_mbind, memory + 4 * 4096, 4096, MPOL_INTERLEAVE, &first, 64, 0));
  OM_SYS(syscall(SYS_set_mempolicy, MPOL_DEFAULT, nullptr, 0));
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_EQ(memory[0], 1);
  void* pages[2] = {memory, memory + 7 * 4096};
  OmGuarded status(8);
  OM_SYS(syscall(SYS_move_pages, 0, 2, pages, nullptr, status.data(), 0));
  OM_CHECK_EQ(status.as<int>()[0], 0);
  OM_CHECK(status.as<int>()[1] < 0);
  OM_CHECK_EQ(policy_of(memory + 4 * 4096, &nodes), MPOL_INTERLEAVE);
  OM_CHECK_EQ(policy_of(nullptr, &nodes), MPOL_DEFAULT);
  OM_CHECK_ERRNO(syscall(SYS_mbind, memory, 4096, 99, &first, 64, 0), EINVAL);
  OM_CHECK_EQ(OM_SYS(syscall(SYS_migrate_pages, 0, 64, &first, &first)), 0);
}
