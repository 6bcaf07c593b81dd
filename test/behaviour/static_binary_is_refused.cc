// SPDX-License-Identifier: Apache-2.0
//
// A statically linked program cannot be preloaded: it stays at home and runs as ever.
// om-expect: refused STATIC_BINARY
// om-link: -static
#include "test/lib/om_test.h"

int main() {
  om_test_ready();
  om_test_wait_moved();
  OM_CHECK_EQ(getppid() > 0, true);
}
