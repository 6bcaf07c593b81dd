// SPDX-License-Identifier: Apache-2.0
//
// Exceptions thrown after the move pass through frames from before it, run destructors in order and
// are caught by type; rethrow and nested exceptions included.
#include "test/lib/om_test.h"

#include <stdio.h>
#include <exception>
#include <stdexcept>
#include <string>

struct Trace {
  explicit Trace(int n) : number(n) {}
  ~Trace() { printf("end %d\n", number); }
  int number;
};

static void inner(int depth) {
  Trace trace(depth);
  if (depth > 0) return inner(depth - 1);
  om_test_ready();
  om_test_wait_moved();
  throw std::runtime_error("thrown below");
}

static void middle() {
  try {
    inner(3);
  } catch (const std::runtime_error& error) {
    std::throw_with_nested(std::logic_error(std::string("around ") + error.what()));
  }
}

int main() {
  try {
    middle();
    OM_CHECK(false);
  } catch (const std::logic_error& outer) {
    puts(outer.what());
    try {
      std::rethrow_if_nested(outer);
    } catch (const std::exception& nested) {
      puts(nested.what());
    }
  }
  for (int i = 0; i < 1000; ++i) {
    try {
      throw i;
    } catch (int value) {
      OM_CHECK_EQ(value, i);
    }
  }
}
