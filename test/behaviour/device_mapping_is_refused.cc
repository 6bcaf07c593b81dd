// SPDX-License-Identifier: Apache-2.0
//
// A process with a mapped ring of the kernel (here: perf events) stays at home.
// om-expect: refused DEVICE_MAPPED
#include "test/lib/om_test.h"

#include <linux/perf_event.h>
#include <sys/mman.h>
#include <sys/syscall.h>

int main() {
  perf_event_attr attributes{};
  attributes.size = sizeof attributes;
  attributes.type = PERF_TYPE_SOFTWARE;
  attributes.config = PERF_COUNT_SW_TASK_CLOCK;
  attributes.exclude_kernel = 1;
  attributes.exclude_hv = 1;
  long event = syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
  if (event < 0) om_test_skip("no perf events");
  void* ring =
      mmap(nullptr, 2 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, static_cast<int>(event), 0);
  if (ring == MAP_FAILED) om_test_skip("no perf ring");
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_EQ(static_cast<perf_event_mmap_page*>(ring)->version, 0);
}
