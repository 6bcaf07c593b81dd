// SPDX-License-Identifier: Apache-2.0
#include "deputy/memory/drops.h"
#include "libom/abi/memory.h"

#include <doctest/doctest.h>

namespace om::deputy {
namespace {

std::vector<Range> planned(std::vector<Range> memory, std::vector<Range> pins) {
  auto drops = plan_drops(memory, pins);
  REQUIRE(drops.ok());
  return *drops;
}

bool same(const std::vector<Range>& a, const std::vector<Range>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Range& x, const Range& y) { return x.lo == y.lo && x.hi == y.hi; });
}

TEST_CASE("whole pages that calls use are left out") {
  const std::vector<Range> memory{{0x10000, 0x20000}, {0x30000, 0x31000}};
  CHECK(same(planned(memory, {}), memory));
  CHECK(same(planned(memory, {{0x12008, 0x13001}, {0x30000, 0x30001}}),
             {{0x10000, 0x12000}, {0x14000, 0x20000}}));
  CHECK(same(planned(memory, {{0x8000, 0x11000}, {0x1f000, 0x40000}}), {{0x11000, 0x1f000}}));
  CHECK(same(planned(memory, {{0x10000, 0x10008}, {0x10010, 0x10020}}),
             {{0x11000, 0x20000}, {0x30000, 0x31000}}));
}

TEST_CASE("a list that libom has no room for is refused, not cut") {
  std::vector<Range> memory;
  for (uint64_t i = 0; i < kMaxDrops; i++) memory.push_back({i * 0x2000, i * 0x2000 + 0x1000});
  CHECK(planned(memory, {}).size() == kMaxDrops);
  memory.push_back({kMaxDrops * 0x2000, kMaxDrops * 0x2000 + 0x1000});
  auto drops = plan_drops(memory, {});
  REQUIRE(!drops.ok());
  CHECK(drops.error().code == ReasonCode::kHomeMemory);
}

}  // namespace
}  // namespace om::deputy
