// SPDX-License-Identifier: Apache-2.0
//
// The program itself ends by a signal with default action that it sends to itself after the move.
// om-status: signal 15
#include "test/lib/om_test.h"

#include <signal.h>

int main() {
  om_test_ready();
  om_test_wait_moved();
  raise(SIGTERM);
  return 0;
}
