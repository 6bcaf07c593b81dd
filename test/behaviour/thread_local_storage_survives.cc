// SPDX-License-Identifier: Apache-2.0
//
// thread_local variables keep their values per thread, new threads get fresh ones, destructors run.
#include "test/lib/om_test.h"

#include <atomic>
#include <string>
#include <thread>

static std::atomic<int> g_destroyed{0};

struct Counted {
  ~Counted() { ++g_destroyed; }
  std::string text = "fresh";
};
static thread_local Counted t_object;
static thread_local int t_array[1000];
static __thread int t_plain = 5;

static void check_fresh() {
  OM_CHECK(t_object.text == "fresh");
  OM_CHECK_EQ(t_array[999], 0);
  OM_CHECK_EQ(t_plain, 5);
}

static void use(int number) {
  check_fresh();
  t_object.text = "thread " + std::to_string(number);
  t_array[999] = number;
  t_plain = -number;
  om_test_wait_moved();
  OM_CHECK(t_object.text == "thread " + std::to_string(number));
  OM_CHECK_EQ(t_array[999], number);
  OM_CHECK_EQ(t_plain, -number);
}

int main() {
  om_test_ready();
  std::thread one(use, 1), two(use, 2);
  use(3);
  one.join();
  two.join();
  std::thread(check_fresh).join();
  OM_CHECK_EQ(g_destroyed.load(), 3);
}
