// SPDX-License-Identifier: Apache-2.0
//
// What concerns all processes of a machine is refused to no program: advice to merge equal pages, which shows in
// /proc/self/smaps, and a memory barrier for everybody.
#include "test/lib/om_test.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

// Whether the mapping that begins at `at` has the flag.
static bool has_flag(const char* at, const char* flag) {
  FILE* smaps = fopen("/proc/self/smaps", "re");
  OM_CHECK(smaps != nullptr);
  char line[512], wanted[32];
  snprintf(wanted, sizeof wanted, "%lx-", reinterpret_cast<unsigned long>(at));
  bool within = false, found = false;
  while (fgets(line, sizeof line, smaps) != nullptr) {
    if (strchr(line, '-') != nullptr && line[0] != 'V')
      within = strncmp(line, wanted, strlen(wanted)) == 0;
    if (within && strncmp(line, "VmFlags:", 8) == 0) found = strstr(line, flag) != nullptr;
  }
  fclose(smaps);
  return found;
}

int main() {
  constexpr size_t kBytes = 16 * 4096;
  auto* memory = static_cast<char*>(
      mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  OM_CHECK(memory != MAP_FAILED);
  const bool merges = madvise(memory, kBytes, MADV_UNMERGEABLE) == 0;  // the kernel can do it
  const bool global = syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) == 0;
  om_test_ready();
  om_test_wait_moved();
  memset(memory, 1, kBytes);
  OM_CHECK_EQ(syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0), global ? 0 : -1);
  OM_CHECK_EQ(madvise(memory, kBytes, MADV_MERGEABLE), merges ? 0 : -1);
  OM_CHECK_EQ(has_flag(memory, " mg"), merges);
  if (merges) OM_CHECK_ERRNO(madvise(memory + 1, kBytes, MADV_MERGEABLE), EINVAL);
  for (size_t i = 0; i < kBytes; i += 4096) OM_CHECK_EQ(memory[i], 1);
}
