// SPDX-License-Identifier: Apache-2.0
//
// glibc's rseq area keeps being updated: the CPU number in it is one that exists at home.
#include "test/lib/om_test.h"

#include <sys/rseq.h>

int main() {
  if (__rseq_size == 0) om_test_skip("no rseq registered");
  char* thread = static_cast<char*>(__builtin_thread_pointer());
  auto* area = reinterpret_cast<volatile struct rseq*>(thread + __rseq_offset);
  om_test_ready();
  om_test_wait_moved();
  long configured = sysconf(_SC_NPROCESSORS_CONF);
  for (int i = 0; i < 100; ++i) {
    OM_CHECK(static_cast<int>(area->cpu_id) >= 0);
    OM_CHECK(static_cast<long>(area->cpu_id) < configured);
    OM_CHECK(static_cast<long>(area->cpu_id_start) < configured);
    sched_yield();
  }
  OmThread other([] {
    char* mine = static_cast<char*>(__builtin_thread_pointer());
    OM_CHECK(static_cast<int>(
                 reinterpret_cast<volatile struct rseq*>(mine + __rseq_offset)->cpu_id) >= 0);
  });
}
