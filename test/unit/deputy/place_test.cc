// SPDX-License-Identifier: Apache-2.0
#include "deputy/home/place.h"
#include "libom/abi/layout.h"

#include <doctest/doctest.h>

namespace om::deputy {
namespace {

constexpr uint64_t kGib = uint64_t{1} << 30, kTib = uint64_t{1} << 40;
constexpr uint64_t kImage = uint64_t{0x7f} << 40;
constexpr uint32_t kSlots = 64;

proc::Mapping mapping(uint64_t lo, uint64_t hi) {
  proc::Mapping m;
  m.start = lo;
  m.end = hi;
  return m;
}

// libom at kImage, and `others`, ascending.
std::vector<proc::Mapping> maps_with(std::vector<proc::Mapping> others) {
  others.push_back(mapping(kImage, kImage + kPageSize));
  return others;
}

TEST_CASE("what is mapped is not free, what is beside it is") {
  const std::vector<proc::Mapping> maps{mapping(0x1000, 0x3000)};
  CHECK(is_free(maps, 0, 0x1000));
  CHECK(is_free(maps, 0x3000, 0x4000));
  CHECK_FALSE(is_free(maps, 0x2000, 0x4000));
  CHECK_FALSE(is_free(maps, 0, 0x10000));
}

TEST_CASE("the arena lies a good way below the libraries, with room for the executors") {
  const auto maps = maps_with({mapping(0x400000, 0x500000)});
  auto place = find_place(maps, kImage, kSlots);
  REQUIRE(place.ok());
  const uint64_t at = *place;
  CHECK(at % kSlotSize == 0);
  CHECK(at + arena_bytes(kSlots) + 64 * kGib <= kImage);
  CHECK(is_free(maps, at, at + arena_bytes(kSlots)));
  REQUIRE(has_executor_area(at, kSlots));
  CHECK(is_free(maps, executor_area_start(at, kSlots), executor_area_end(at)));
}

TEST_CASE("where all is taken but a gap, the arena goes into the gap") {
  const uint64_t lo = 4 * kTib, hi = lo + arena_bytes(kSlots) + 4 * kSlotSize;
  const auto maps = maps_with({mapping(kPageSize, lo), mapping(hi, kImage)});
  auto place = find_place(maps, kImage, kSlots);
  REQUIRE(place.ok());
  const uint64_t at = *place;
  CHECK(at >= lo);
  CHECK(at + arena_bytes(kSlots) <= hi);
}

TEST_CASE("without room there is no place") {
  CHECK_FALSE(find_place(maps_with({mapping(kPageSize, kImage)}), kImage, kSlots).ok());
}

}  // namespace
}  // namespace om::deputy
