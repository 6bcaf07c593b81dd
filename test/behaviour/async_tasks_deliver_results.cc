// SPDX-License-Identifier: Apache-2.0
//
// std::async, promises and packaged tasks started before the move deliver after it, exceptions
// included.
#include "test/lib/om_test.h"

#include <stdio.h>
#include <future>
#include <stdexcept>
#include <vector>

int main() {
  std::promise<int> promise;
  std::future<int> chained =
      std::async(std::launch::async, [&] { return promise.get_future().get() * 2; });
  std::future<void> failing = std::async(std::launch::async, [] {
    om_test_wait_moved();
    throw std::runtime_error("failed there");
  });
  om_test_ready();
  om_test_wait_moved();
  promise.set_value(21);
  OM_CHECK_EQ(chained.get(), 42);
  try {
    failing.get();
    OM_CHECK(false);
  } catch (const std::runtime_error& error) {
    puts(error.what());
  }
  int sum = 0;
  std::vector<std::future<int>> many;
  for (int i = 0; i < 20; ++i) many.push_back(std::async(std::launch::async, [i] { return i; }));
  for (auto& one : many) sum += one.get();
  OM_CHECK_EQ(sum, 190);
}
