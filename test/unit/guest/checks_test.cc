// SPDX-License-Identifier: Apache-2.0
//
// guest/checks.h: what of home's words a keeper does not take, one thing at a time.
#include "guest/checks.h"

#include <doctest/doctest.h>

#include "test/unit/guest/made_up_image.h"

namespace om::guest {
namespace {

constexpr uint64_t kTop = uint64_t{1} << 47;

TEST_CASE("a description without a mistake passes") {
  MadeUpImage m;
  CHECK(m.spec_passes());
  CHECK(m.image_passes());
  CHECK(m.bounds().launched_slots == 8);  // of the arena, although more could come
}

TEST_CASE("libom lies where it can lie") {
  auto refused = [](auto change) {
    MadeUpImage m;
    change(m.spec());
    return !m.spec_passes();
  };
  CHECK(refused([](auto& s) { s.setImageLo(kImageLo + 1); }));
  CHECK(refused([](auto& s) { s.setImageHi(kImageLo); }));
  CHECK(refused([](auto& s) { s.setImageHi(kTop); }));
  CHECK(refused([](auto& s) { s.initImage(100); }));
  CHECK(refused([](auto& s) { s.setGateLo(kImageLo - kPageSize); }));
  CHECK(refused([](auto& s) { s.setGateHi(kImageHi + kPageSize); }));
  CHECK(refused([](auto& s) { s.setBodyEntry(kImageHi); }));
  CHECK(refused([](auto& s) { s.setBodyState(kImageHi - 8); }));
  CHECK(refused([](auto& s) { s.setArena(kArena + kPageSize); }));
  CHECK(refused([](auto& s) { s.setArena(kImageLo); }));
  CHECK(refused([](auto& s) { s.setArena(kTop); }));
  CHECK(refused([](auto& s) { s.setSlots(0); }));
  CHECK(refused([](auto& s) { s.setSlots(kMaxSlots + 1); }));
  CHECK(refused([](auto& s) { s.initSegments(1)[0].setHi(kPageSize); }));
  CHECK(refused([](auto& s) { s.initLimits(1)[0].setResource(1000); }));
}

TEST_CASE("mappings are pages of the program's half, beside libom, and do not overlap") {
  auto passes = [](uint64_t lo, uint64_t hi, uint32_t kind = kKindMemory) {
    MadeUpImage m;
    m.mapping(0, lo, hi, kind);
    return m.image_passes();
  };
  CHECK(passes(kProgram, kProgram + kPageSize));
  CHECK(passes(kProgram, kProgram + kPageSize, kKindReserve));
  CHECK(!passes(kProgram + 8, kProgram + kPageSize));
  CHECK(!passes(kProgram, kProgram));
  CHECK(!passes(kProgram + kPageSize, kProgram));
  CHECK(!passes(0, kPageSize));
  CHECK(!passes(kTop - kPageSize, kTop + kPageSize));
  CHECK(!passes(kImageLo - kPageSize, kImageLo + kPageSize));
  CHECK(!passes(kArena, kArena + kPageSize));
  CHECK(!passes(kStackLo - kPageSize, kStackLo + kPageSize));
  CHECK(!passes(kProgram, kProgram + kPageSize, 4));
  CHECK(!passes(kProgram, kProgram + kPageSize, kKindView));  // of no object
}

TEST_CASE("memory objects lie where executors map, and views show pages of them") {
  auto passes = [](uint64_t view, uint64_t bytes, uint64_t shown) {
    MadeUpImage m;
    auto o = m.image().initObjects(1)[0];
    o.setView(view);
    o.setBytes(bytes);
    m.mapping(0, kProgram, kProgram + kPageSize, kKindView);
    m.image().getMappings()[0].setView(shown);
    return m.image_passes();
  };
  const uint64_t view = executor_area_start(kArena, 8);
  CHECK(passes(view, 3 * kPageSize, view));
  CHECK(passes(view, 3 * kPageSize - 1, view + 2 * kPageSize));
  CHECK(!passes(view, 3 * kPageSize, view + 3 * kPageSize));
  CHECK(!passes(view, 3 * kPageSize, view + 8));
  CHECK(!passes(view, 0, view));
  CHECK(!passes(view + 8, kPageSize, view));
  CHECK(!passes(view - kPageSize, kPageSize, view - kPageSize));
  CHECK(!passes(view, executor_area_end(kArena) - view + 1, view));
}

TEST_CASE("guard pages lie within a mapping") {
  auto passes = [](uint64_t lo, uint64_t hi) {
    MadeUpImage m;
    m.guard(lo, hi);
    return m.image_passes();
  };
  CHECK(passes(kProgram + kPageSize, kProgram + 2 * kPageSize));
  CHECK(!passes(kProgram - kPageSize, kProgram + kPageSize));
  CHECK(!passes(kProgram + 7 * kPageSize, kProgram + 9 * kPageSize));
  CHECK(!passes(kProgram + 8, kProgram + kPageSize));
  CHECK(!passes(kProgram + kPageSize, kProgram + kPageSize));
}

TEST_CASE("as many threads as were prepared for, and a home with names and a clock") {
  auto refused = [](auto change) {
    MadeUpImage m;
    change(m.image());
    return !m.image_passes();
  };
  CHECK(refused([](auto& i) { i.initThreads(0); }));
  CHECK(refused([](auto& i) { i.initThreads(9); }));
  CHECK(refused([](auto& i) { i.initIds(7); }));
  CHECK(refused([](auto& i) { i.initUts(8); }));
  CHECK(refused([](auto& i) { i.setHomeMonoNs(-1); }));
  CHECK(refused([](auto& i) { i.setHomeRealNs(INT64_MAX); }));
}

TEST_CASE("wanted ranges ascend and are cut to what is mapped") {
  capnp::MallocMessageBuilder message;
  auto list = message.initRoot<schema::Keeper::CollectParams>().initRanges(2);
  auto set = [&](unsigned i, uint64_t lo, uint64_t hi, bool file) {
    list[i].setLo(lo);
    list[i].setHi(hi);
    list[i].setFile(file);
  };
  std::vector<proc::Mapping> maps(2);
  maps[0].start = 0x10000;
  maps[0].end = 0x14000;
  maps[1].start = 0x20000;
  maps[1].end = 0x20000 + 2 * kScanBytes;
  std::vector<WantedRange> wanted;

  set(0, 0x12000, 0x18000, true);
  set(1, 0x18000, 0x20000 + kScanBytes + kPageSize, false);
  REQUIRE(check_ranges(list.asReader(), maps, wanted).ok());
  REQUIRE(wanted.size() == 3);  // and in pieces that are looked through in a moment
  CHECK((wanted[0].lo == 0x12000 && wanted[0].hi == 0x14000 && wanted[0].file));
  CHECK((wanted[1].lo == 0x20000 && wanted[1].hi == 0x20000 + kScanBytes && !wanted[1].file));
  CHECK((wanted[2].lo == 0x20000 + kScanBytes && wanted[2].hi - wanted[2].lo == kPageSize));

  set(1, 0x17000, 0x19000, false);
  CHECK(!check_ranges(list.asReader(), maps, wanted).ok());
  set(1, 0x19001, 0x1a000, false);
  CHECK(!check_ranges(list.asReader(), maps, wanted).ok());
  set(1, 0x1a000, 0x1a000, false);
  CHECK(!check_ranges(list.asReader(), maps, wanted).ok());
  set(1, 0x1a000, kTop + kPageSize, false);
  CHECK(!check_ranges(list.asReader(), maps, wanted).ok());
}

}  // namespace
}  // namespace om::guest
