// SPDX-License-Identifier: Apache-2.0
//
// The move happens while an exception is being handled: inside a destructor and inside a catch
// block.
// om-points: 2
#include "test/lib/om_test.h"

#include <stdio.h>
#include <exception>
#include <stdexcept>

struct MovesInDestructor {
  ~MovesInDestructor() {
    OM_CHECK_EQ(std::uncaught_exceptions(), 1);
    om_test_ready();
    om_test_wait_moved();
  }
};

int main() {
  try {
    MovesInDestructor guard;
    throw std::out_of_range("far");
  } catch (const std::out_of_range& error) {
    om_test_ready();
    om_test_wait_moved();
    try {
      throw;
    } catch (const std::exception& again) {
      OM_CHECK(&again == &error);
      puts(again.what());
    }
  }
  OM_CHECK_EQ(std::uncaught_exceptions(), 0);
}
