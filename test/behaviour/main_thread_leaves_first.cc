// SPDX-License-Identifier: Apache-2.0
//
// The main thread ends by pthread_exit() after the move; the process lives on until the last thread
// ends.
#include "test/lib/om_test.h"

#include <stdio.h>
#include <thread>

int main() {
  om_test_ready();
  pthread_t main_thread = pthread_self();
  std::thread([main_thread] {
    om_test_wait_moved();
    OM_CHECK_EQ(pthread_join(main_thread, nullptr), 0);
    timespec pause{0, 50000000};
    nanosleep(&pause, nullptr);
    OM_CHECK_EQ(getpid() == gettid(), false);
    puts("last thread");
  }).detach();
  om_test_wait_moved();
  pthread_exit(nullptr);
}
