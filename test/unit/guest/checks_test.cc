// SPDX-License-Identifier: Apache-2.0
//
// guest/checks.h: what a keeper refuses in home's messages, one thing at a time.
#include "guest/checks.h"

#include <doctest/doctest.h>

#include "test/unit/guest/made_up_image.h"

namespace om::guest {
namespace {

using MappingKind = Description::MappingKind;

TEST_CASE("a description without a mistake passes") {
  MadeUpImage m;
  CHECK(m.spec_passes());
  CHECK(m.image_passes());
  CHECK(m.bounds().launched_slots == 8);  // the arena's, although more could be launched
}

TEST_CASE("libom lies where it can lie") {
  auto refused = [](auto change) {
    MadeUpImage m;
    change(m.spec());
    return !m.spec_passes();
  };
  CHECK(refused([](auto& s) { s.setImageLo(kImageLo + 1); }));
  CHECK(refused([](auto& s) { s.setImageHi(kImageLo); }));
  CHECK(refused([](auto& s) { s.setImageHi(kProgramTop); }));
  CHECK(refused([](auto& s) { s.initImage(100); }));
  CHECK(refused([](auto& s) { s.setGateLo(kImageLo - kPageSize); }));
  CHECK(refused([](auto& s) { s.setGateHi(kImageHi + kPageSize); }));
  CHECK(refused([](auto& s) { s.setBodyEntry(kImageHi); }));
  CHECK(refused([](auto& s) { s.setBodyState(kImageHi - 8); }));
  CHECK(refused([](auto& s) { s.setArena(kArena + kPageSize); }));
  CHECK(refused([](auto& s) { s.setArena(kImageLo); }));
  CHECK(refused([](auto& s) { s.setArena(kProgramTop); }));
  CHECK(refused([](auto& s) { s.setSlots(0); }));
  CHECK(refused([](auto& s) { s.setSlots(kMaxSlots + 1); }));
  CHECK(refused([](auto& s) { s.initSegments(1)[0].setHi(kPageSize); }));
  CHECK(refused([](auto& s) { s.initLimits(1)[0].setResource(1000); }));
}

TEST_CASE("mappings lie beside libom") {
  auto passes = [](uint64_t lo, uint64_t hi) {
    MadeUpImage m;
    m.image.mappings[0] = {lo, hi, 3, MappingKind::MEMORY};
    return m.image_passes();
  };
  CHECK(passes(kProgram, kProgram + kPageSize));
  CHECK(passes(kImageLo - kPageSize, kImageLo));
  CHECK(passes(kImageHi, kImageHi + kPageSize));
  CHECK(!passes(kImageLo - kPageSize, kImageLo + kPageSize));
  CHECK(!passes(kImageHi - kPageSize, kImageHi));
  CHECK(!passes(kArena, kArena + kPageSize));
  CHECK(!passes(kArena + arena_bytes(8) - kPageSize, kArena + arena_bytes(8)));
  CHECK(passes(kArena + arena_bytes(8), kArena + arena_bytes(8) + kPageSize));
}

TEST_CASE("memory objects lie where executors map, one behind the other") {
  const uint64_t view = executor_area_start(kArena, 8), end = executor_area_end(kArena);
  auto passes = [](std::vector<Description::Object> objects) {
    MadeUpImage m;
    m.image.objects = std::move(objects);
    return m.image_passes();
  };
  CHECK(passes({{view, 3 * kPageSize, false}}));
  CHECK(passes({{view, 1, false}, {view + kPageSize, end - view - kPageSize, false}}));
  CHECK(!passes({{view, kPageSize + 1, false}, {view + kPageSize, 1, false}}));
  CHECK(!passes({{view + kPageSize, 1, false}, {view, 1, false}}));
  CHECK(!passes({{view - kPageSize, kPageSize, false}}));
  CHECK(!passes({{view, end - view + 1, false}}));
  CHECK(!passes({{end, 1, false}}));
}

TEST_CASE("as many threads as were prepared for, one slot after the other") {
  auto passes = [](size_t threads, uint32_t last) {
    MadeUpImage m;
    m.image.threads.resize(threads);
    for (size_t i = 0; i < threads; i++) m.image.threads[i].state.slot = static_cast<uint32_t>(i);
    if (threads != 0) m.image.threads.back().state.slot = last;
    return m.image_passes();
  };
  CHECK(passes(8, 7));
  CHECK(!passes(0, 0));
  CHECK(!passes(9, 8));
  CHECK(!passes(2, 0));
  CHECK(!passes(2, 2));
}

TEST_CASE("wanted ranges ascend and are cut to what is mapped") {
  capnp::MallocMessageBuilder message;
  auto list = message.initRoot<schema::Body::CollectParams>().initRanges(2);
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
  REQUIRE(wanted.size() == 3);  // and in pieces that are quick to search
  CHECK((wanted[0].lo == 0x12000 && wanted[0].hi == 0x14000 && wanted[0].file));
  CHECK((wanted[1].lo == 0x20000 && wanted[1].hi == 0x20000 + kScanBytes && !wanted[1].file));
  CHECK((wanted[2].lo == 0x20000 + kScanBytes && wanted[2].hi - wanted[2].lo == kPageSize));

  set(1, 0x17000, 0x19000, false);
  CHECK(!check_ranges(list.asReader(), maps, wanted).ok());
  set(1, 0x19001, 0x1a000, false);
  CHECK(!check_ranges(list.asReader(), maps, wanted).ok());
  set(1, 0x1a000, 0x1a000, false);
  CHECK(!check_ranges(list.asReader(), maps, wanted).ok());
  set(1, 0x1a000, kProgramTop + kPageSize, false);
  CHECK(!check_ranges(list.asReader(), maps, wanted).ok());
}

}  // namespace
}  // namespace om::guest
