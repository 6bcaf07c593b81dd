// SPDX-License-Identifier: Apache-2.0
//
// getrandom() and the seeds of the library give fresh values after every move, never the same
// twice.
// om-points: moves
#include "test/lib/om_test.h"

#include <sys/random.h>
#include <random>
#include <set>

int main() {
  std::set<uint64_t> seen;
  std::random_device device;
  for (int i = 0; i < om_test_moves() || i == 0; ++i) {
    for (int n = 0; n < 100; ++n) {
      OmGuardedOut<uint64_t> value;
      OM_CHECK_EQ(getrandom(&value, 8, n % 2 ? GRND_NONBLOCK : 0), 8);
      OM_CHECK(seen.insert(*value).second);
      uint64_t other = (uint64_t{device()} << 32) | device();
      OM_CHECK(seen.insert(other).second);
    }
    om_test_ready();
    om_test_wait_moved();
  }
  OM_CHECK_ERRNO(getrandom(&seen, 8, 0x1000), EINVAL);
}
