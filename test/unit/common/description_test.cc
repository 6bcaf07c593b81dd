// SPDX-License-Identifier: Apache-2.0
//
// common/image/description.h: what is written reads back the same, and what breaks a rule is refused.
#include "common/image/description.h"

#include <capnp/message.h>
#include <doctest/doctest.h>
#include <string.h>

#include "test/unit/common/made_up_description.h"

namespace om {
namespace {

using MappingKind = Description::MappingKind;
using MarkKind = Description::MarkKind;

Verdict<Description> pass(const Description& d, uint32_t version = kImageVersion) {
  capnp::MallocMessageBuilder message;
  auto image = message.initRoot<wire::Image>();
  write_description(d, image);
  image.setVersion(version);
  return read_description(image.asReader());
}

bool passes(const Description& d) { return pass(d).ok(); }

TEST_CASE("what is written is read again") {
  Description d = made_up_description();
  const uint64_t view = 0x200000000;
  d.objects.push_back({view, 3 * kPageSize - 1, true});
  d.mappings.push_back(
      {0x300000000, 0x300000000 + kPageSize, PROT_READ, MappingKind::VIEW, 0, 2 * kPageSize});
  d.marks.push_back({kProgram, kProgramEnd, MarkKind::FILE});
  d.marks.push_back({kProgram, kProgram + kPageSize, MarkKind::GUARD});
  d.threads[0].state.kernel.fs_base = 0x1234;
  d.threads[0].xsave[5] = std::byte{9};
  d.process.ids[7] = 4711;
  d.process.uts[0] = std::byte{'L'};
  d.process.writes_files = true;
  const auto back = pass(d);
  REQUIRE(back.ok());
  CHECK(back->epoch == 3);
  REQUIRE(back->mappings.size() == 3);
  CHECK((back->mappings[2].kind == MappingKind::VIEW && back->mappings[2].prot == PROT_READ));
  CHECK(back->view_of(back->mappings[2]) == view + 2 * kPageSize);
  CHECK((back->objects[0].bytes == 3 * kPageSize - 1 && back->objects[0].is_open));
  REQUIRE(back->marks.size() == 2);
  CHECK((back->marks[0].kind == MarkKind::FILE && back->marks[0].hi == kProgramEnd));
  CHECK(memcmp(&back->threads[0].state, &d.threads[0].state, sizeof(ThreadState)) == 0);
  CHECK(back->threads[0].xsave == d.threads[0].xsave);
  CHECK((back->xstate.size == kXsaveMinBytes && back->xstate.xcr0 == 3));
  CHECK((back->clocks.mono_ns == 1 && back->clocks.real_ns == 2 && back->clocks.cpu_ns == 3));
  CHECK(back->process.ids == d.process.ids);
  CHECK(back->process.uts == d.process.uts);
  CHECK((back->process.pid == 77 && back->process.writes_files && !back->process.denies_exec));
  REQUIRE(back->stack() != nullptr);
  CHECK(back->stack()->lo == kStackLo);
}

TEST_CASE("another version is refused as such") {
  const auto newer = pass(made_up_description(), kImageVersion + 1);
  REQUIRE(!newer.ok());
  CHECK(newer.error().code == ReasonCode::kVersion);
  CHECK(!pass(made_up_description(), 0).ok());
}

TEST_CASE("mappings are whole pages of the program's half and do not overlap") {
  auto with = [](uint64_t lo, uint64_t hi, MappingKind kind = MappingKind::MEMORY) {
    Description d = made_up_description();
    d.mappings[0] = {lo, hi, PROT_READ, kind};
    return passes(d);
  };
  CHECK(with(kProgram, kProgramEnd, MappingKind::RESERVE));
  CHECK(!with(kProgram + 8, kProgramEnd));
  CHECK(!with(kProgram, kProgramEnd - 8));
  CHECK(!with(kProgram, kProgram));
  CHECK(!with(kProgramEnd, kProgram));
  CHECK(!with(0, kPageSize));
  CHECK(!with(kProgramTop - kPageSize, kProgramTop + kPageSize));
  CHECK(!with(kStackLo - kPageSize, kStackLo + kPageSize));
  CHECK(!with(kProgram, kProgramEnd, static_cast<MappingKind>(4)));
  CHECK(!with(kProgram, kProgramEnd, MappingKind::VIEW));  // of no object
}

TEST_CASE("views show pages of an object, objects lie in the program's half") {
  auto with = [](uint64_t view, uint64_t bytes, uint32_t object, uint64_t offset) {
    Description d = made_up_description();
    d.objects.push_back({view, bytes, false});
    d.mappings[0] = {kProgram, kProgram + kPageSize, PROT_READ, MappingKind::VIEW, object, offset};
    return passes(d);
  };
  const uint64_t view = 0x200000000;
  CHECK(with(view, 1, 0, 0));
  CHECK(with(view, kPageSize + 1, 0, kPageSize));
  CHECK(!with(view, kPageSize, 0, kPageSize));
  CHECK(!with(view, kPageSize, 0, 8));
  CHECK(!with(view, kPageSize, 1, 0));
  CHECK(!with(view, 0, 0, 0));
  CHECK(!with(view + 8, kPageSize, 0, 0));
  CHECK(!with(kProgramTop - kPageSize, 2 * kPageSize, 0, 0));
  CHECK(!with(kStackLo, kPageSize, 0, 0));
}

TEST_CASE("marks are pages, guards lie within a mapping") {
  auto with = [](uint64_t lo, uint64_t hi, MarkKind kind) {
    Description d = made_up_description();
    d.marks.push_back({lo, hi, kind});
    return passes(d);
  };
  CHECK(with(0, kProgramTop, MarkKind::WRITTEN));
  CHECK(with(kProgram + kPageSize, kProgramEnd, MarkKind::GUARD));
  CHECK(!with(kProgram, kProgramEnd + kPageSize, MarkKind::GUARD));
  CHECK(!with(kProgram - kPageSize, kProgramEnd, MarkKind::GUARD));
  CHECK(!with(kProgram + 1, kProgramEnd, MarkKind::SHARED));
  CHECK(!with(kProgramEnd, kProgram, MarkKind::WRITTEN));
  CHECK(!with(kProgram, kProgramEnd, static_cast<MarkKind>(6)));
}

TEST_CASE("threads that no kernel has had") {
  auto refused = [](auto change) {
    Description d = made_up_description();
    d.threads.push_back(d.threads[0]);
    d.threads[1].state.slot = 1;
    if (!passes(d)) return false;
    change(d.threads[1]);
    return !passes(d);
  };
  CHECK(refused([](auto& t) { t.state.slot = 0; }));
  CHECK(refused([](auto& t) { t.state.slot = kMaxSlots; }));
  CHECK(refused([](auto& t) { t.state.kind = 7; }));
  CHECK(refused([](auto& t) { t.state.kernel.fs_base = kProgramTop; }));
  CHECK(refused([](auto& t) { t.xsave.resize(kXsaveMaxBytes + 1); }));
}

TEST_CASE("a vector layout, clocks and a process that cannot be") {
  auto refused = [](auto change) {
    Description d = made_up_description();
    change(d);
    return !passes(d);
  };
  CHECK(refused([](auto& d) { d.xstate.size = 100; }));
  CHECK(refused([](auto& d) { d.xstate.xcr0 = 7; }));
  CHECK(refused([](auto& d) { d.clocks.mono_ns = -1; }));
  CHECK(refused([](auto& d) { d.clocks.real_ns = INT64_MAX; }));
  capnp::MallocMessageBuilder message;
  auto image = message.initRoot<wire::Image>();
  write_description(made_up_description(), image);
  image.getProcess().initUts(8);
  CHECK(!read_description(image.asReader()).ok());
}

}  // namespace
}  // namespace om
