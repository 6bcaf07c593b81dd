// SPDX-License-Identifier: Apache-2.0
#include "common/base/log_repeats.h"

#include <doctest/doctest.h>

namespace om {
namespace {

using std::chrono::seconds;

TEST_CASE("the same line is written once in a window, then counted, then told") {
  LogRepeats repeats;
  const LogRepeats::Time start{seconds(100)};
  CHECK_FALSE(repeats.counts("warn peer", "closed", start));
  for (int i = 0; i < 3000; ++i)
    CHECK(repeats.counts("warn peer", "closed", start + seconds(i % 9)));
  CHECK_FALSE(repeats.counts("warn peer", "another", start));
  CHECK_FALSE(repeats.counts("warn link", "closed", start));
  CHECK(repeats.over(start + seconds(9)).empty());
  const auto said = repeats.over(start + LogRepeats::kWindow);
  REQUIRE(said.size() == 1);
  CHECK(said[0].head == "warn peer");
  CHECK(said[0].summary() == "closed (3000 more in 10 s)");
  CHECK_FALSE(repeats.counts("warn peer", "closed", start + LogRepeats::kWindow));
}

TEST_CASE("many different lines are all written, and no count is lost for them") {
  LogRepeats repeats;
  const LogRepeats::Time now{seconds(1)};
  CHECK_FALSE(repeats.counts("warn a", "often", now));
  CHECK(repeats.counts("warn a", "often", now));
  for (int i = 0; i < 1000; ++i) CHECK_FALSE(repeats.counts("warn a", std::to_string(i), now));
  const auto said = repeats.over(now + LogRepeats::kWindow);
  REQUIRE(said.size() == 1);
  CHECK(said[0].text == "often");
  CHECK(said[0].more == 1);
}

}  // namespace
}  // namespace om
