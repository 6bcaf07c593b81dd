// SPDX-License-Identifier: Apache-2.0
//
// A program that raises the soft limit of its stack where it runs, as compilers do, stays there and can then use that
// much.
// om-points: 2
// om-stays: away
#include "test/lib/om_test.h"

#include <sys/resource.h>

#include <algorithm>

static constexpr size_t kMiB = 1 << 20;

[[gnu::noinline]] static size_t use(size_t mib) {
  volatile unsigned char here[kMiB];
  for (size_t i = 0; i < kMiB; i += 4096) here[i] = static_cast<unsigned char>(mib);
  const size_t below = mib > 1 ? use(mib - 1) : 0;
  for (size_t i = 0; i < kMiB; i += 4096) OM_CHECK_EQ(here[i], static_cast<unsigned char>(mib));
  return below + 1;
}

int main() {
  rlimit limit{};
  OM_SYS(getrlimit(RLIMIT_STACK, &limit));
  if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < 48 * kMiB)
    om_test_skip("the stack has a low hard limit");
  om_test_ready();
  om_test_wait_moved();
  limit.rlim_cur = std::max<rlim_t>(48 * kMiB, limit.rlim_cur);
  OM_SYS(setrlimit(RLIMIT_STACK, &limit));
  OM_CHECK_EQ(use(40), size_t{40});
  rlimit now{};
  OM_SYS(getrlimit(RLIMIT_STACK, &now));
  OM_CHECK_EQ(now.rlim_cur, limit.rlim_cur);
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_EQ(use(30), size_t{30});
}
